"""Checks a text against the sentences that it may contain."""

import re


def claims(text):
    """Returns a pattern, the expressions of its groups and the condition of each sentence.

    Args:
      text: sentences with an empty line between them, with their values as expressions in braces;
        a last line that begins with "if" says when a sentence is true.
    """
    result = []
    for block in text.strip().split("\n\n"):
        sentence, _, condition = block.partition("\n    if ")
        words = re.split(r"\{(.*?)\}", " ".join(sentence.split()))
        pattern = "(.*?)".join(map(re.escape, words[::2])) + "(?: |$)"
        condition, *expressions = [
            compile(expression, expression, "eval")
            for expression in (condition or "True", *words[1::2])
        ]
        result.append((re.compile(pattern), expressions, condition))
    return result


def check_claims(text, claims, known):
    """Asserts that each sentence of a text is one of the claims, and true of what is known."""
    while text:
        true = [
            match
            for pattern, expressions, condition in claims
            if (match := pattern.match(text))
            and eval(condition, known)
            and all(
                agrees(shown, eval(expression, known))
                for shown, expression in zip(match.groups(), expressions)
            )
        ]
        assert len(true) == 1, text
        text = text[true[0].end() :]


def agrees(text, value):
    """Returns whether a text stands for a value, as it is or rounded to the digits shown."""
    if callable(value):
        return value(text)
    if isinstance(value, str):
        return text == value
    if not re.fullmatch(r"-?\d[\d,.]*(e[-+]?\d+)?%?", text):
        return False
    shown = text.replace(",", "").rstrip("%")
    value = 100 * value if text.endswith("%") else value
    digits = len(shown.partition(".")[2])
    return shown == f"{value:.3g}" or abs(float(shown) - value) <= 0.5000001 * 10**-digits
