"use strict";
// Shows one epoch: the slider sets the grids, the markers on the curves, and the numbers.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const slider = document.getElementById("epoch");
  const play = document.getElementById("play");
  const compared = document.getElementById("compared");
  const sheets = data.runs.map((run) => Object.assign(new Image(), { src: run.image }));
  let timer = null;

  const within = (epoch) => Math.min(Math.max(epoch, 1), data.last);

  function drawGrid(canvas, epoch) {
    const index = Number(canvas.dataset.run);
    const run = data.runs[index];
    const shown = run.epochs.filter((sampled) => sampled <= epoch).pop() ?? run.epochs[0];
    const caption = canvas.parentElement.querySelector(".shown");
    const place = run.epochs.indexOf(shown);
    const columns = Math.ceil(Math.sqrt(run.epochs.length));
    const side = canvas.width; // of a grid, which is square
    const [left, top] = [place % columns, Math.floor(place / columns)].map((n) => 2 + n * (side + 2));
    canvas.getContext("2d").drawImage(
      sheets[index], left, top, side, side, 0, 0, side, side);
    caption.textContent = `epoch ${shown}`;
    canvas.setAttribute("aria-label", `The images of the fixed noise after epoch ${shown}`);
  }

  const short = (value) => value !== 0 && Math.abs(value) < 1e-3
    ? value.toExponential(1) : Number(value.toPrecision(4)).toString();

  // After a run's last epoch, its last numbers and images stay; the table's head names that epoch.
  function showNumbers(epoch) {
    const rows = data.rows.map((rows) => rows[Math.min(epoch, rows.length) - 1]);
    document.querySelectorAll("#numbers .of").forEach((of, index) => {
      of.textContent = rows[index].epoch < epoch ? ` epoch ${rows[index].epoch}` : "";
    });
    document.querySelectorAll("#numbers tbody tr").forEach((line) => {
      const values = rows.map((row) => row[line.dataset.column] ?? null);
      line.hidden = values.every((value) => value === null);
      values.forEach((value, index) => {
        line.cells[index + 1].textContent = value === null ? "–"
          : line.dataset.column === "step" ? value.toLocaleString("en") : short(value);
      });
    });
  }

  // Shows the latest value up to an epoch, and names the value's epoch if that is an earlier one.
  function showCurves(epoch) {
    const { left, right } = data.axis;
    const x = left + ((right - left) * (epoch - 1)) / (data.last - 1);
    document.querySelectorAll("[data-chart]").forEach((figure) => {
      const marker = figure.querySelector(".marker");
      marker.setAttribute("x1", x);
      marker.setAttribute("x2", x);
      const lines = [...data.charts[figure.dataset.chart]];
      figure.querySelectorAll(".values").forEach((item) => {
        const shown = lines.splice(0, item.dataset.lines);
        const valuesIn = (epoch) => shown.map(([run, column]) => data.rows[run][epoch - 1]?.[column]);
        let measured = epoch;
        while (measured > 1 && valuesIn(measured).every((value) => value == null)) measured--;
        const numbers = valuesIn(measured).map((value) => value == null ? "–" : short(value));
        item.querySelector(".value").textContent = numbers.join(" · ");
        item.querySelector(".of").textContent = measured === epoch || numbers.every((n) => n === "–")
          ? "" : ` epoch ${measured}`;
      });
    });
  }

  function show(epoch) {
    epoch = within(epoch);
    slider.value = epoch;
    slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
    document.getElementById("epoch-number").textContent = epoch;
    document.querySelectorAll("#epochs canvas").forEach((canvas) =>
      drawGrid(canvas, "compared" in canvas.dataset ? Number(compared.value) : epoch));
    showNumbers(epoch);
    showCurves(epoch);
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }

  function playOrPause() {
    if (timer !== null) return pause();
    if (slider.valueAsNumber === data.last) show(1);
    play.textContent = "Pause";
    timer = setInterval(() => {
      if (slider.valueAsNumber === data.last) pause();
      else show(slider.valueAsNumber + 1);
    }, 200);
  }

  function onKey(event) {
    const inForm = event.target.closest("input, select, button, summary, a, [tabindex]");
    if (event.altKey || event.ctrlKey || event.metaKey || (inForm && inForm !== slider)) return;
    if (data.last === 1) return;
    const epoch = slider.valueAsNumber;
    const target = { ArrowLeft: epoch - 1, ArrowRight: epoch + 1, Home: 1, End: data.last }[event.key];
    if (event.key === " ") playOrPause();
    else if (target !== undefined && (inForm || event.key.startsWith("Arrow"))) { pause(); show(target); }
    else return;
    event.preventDefault();
  }

  slider.addEventListener("input", () => { pause(); show(slider.valueAsNumber); });
  play.addEventListener("click", playOrPause);
  document.addEventListener("keydown", onKey);
  compared?.addEventListener("input", () => show(slider.valueAsNumber));
  document.querySelectorAll("[data-chart] > svg").forEach((svg) => {
    const follow = (event) => {
      if (event.pointerType === "touch" && event.type === "pointermove") return;
      const box = svg.getBoundingClientRect();
      const { left, right, all } = data.axis;
      const x = ((event.clientX - box.left) / box.width) * all;
      const nearest = within(1 + Math.round(((data.last - 1) * (x - left)) / (right - left)));
      if (event.type === "pointermove" && timer === null) showCurves(nearest);
      if (event.type === "pointerdown") { pause(); show(nearest); }
    };
    svg.addEventListener("pointermove", follow);
    svg.addEventListener("pointerdown", follow);
    svg.addEventListener("pointerleave", () => showCurves(slider.valueAsNumber));
  });
  Promise.allSettled(sheets.map((sheet) => sheet.decode()))
    .then(() => show(slider.valueAsNumber));
})();
