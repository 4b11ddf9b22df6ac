"""The page at /, as someone with a browser finds it."""

import csv
import re

import pytest

from hfcls.inference.serve import page
from tests.browser import Browser
from tests.inference.serve.running import LABELS, TEXTS, save_bert, serving

CTRL = 2


def test_nothing_comes_from_elsewhere():
    whole = page.render()
    assert re.findall(r"(?:src|href)=\"(?!data:,)|@import|url\(|https?:|//", re.sub(r"// .*", "", whole.html)) == []
    assert "unsafe" not in whole.policy and "default-src 'none'" in whole.policy
    assert whole.html.count("<script>") == whole.html.count("<style>") == 1


@pytest.mark.parametrize(("language", "width"), [("en-US", 1280), ("zh-CN", 400)])
def test_type_and_upload(server, tmp_path, language, width):
    with Browser(language=language, width=width) as browser:
        browser.open(str(server.base_url))
        browser.until("document.activeElement.id === 'text'")  # to be typed into at once
        long = "股市 大涨 " * 20
        browser.type(long)
        browser.press("Enter", code=13, modifiers=CTRL)
        browser.until("document.querySelectorAll('.bars li').length === 3")
        answer = server.predict(long)
        text = browser.evaluate("document.getElementById('answer').innerText")
        names = browser.evaluate("[...document.querySelectorAll('.bars .name')].map((one) => one.innerText)")
        assert names == [one["label"] for one in answer]
        assert browser.evaluate("document.querySelector('.verdict').innerText").startswith(answer[0]["label"])
        assert f"{100 * answer[0]['score']:.1f} %" in text
        assert browser.evaluate("document.querySelector('.read del').innerText").strip().endswith("大涨")
        assert ("What was read" in text) == (language == "en-US")
        assert browser.evaluate("document.documentElement.lang") == ("en" if language == "en-US" else "zh-CN")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width

        (tmp_path / "in.csv").write_text("id,text\n" + "".join(f'{n},"{text}"\n' for n, text in enumerate(TEXTS)))
        browser.upload("#file", tmp_path / "in.csv")
        browser.until("document.querySelector('.download')")
        given = browser.download(".download", tmp_path / "in.answers.csv")
        rows = list(csv.DictReader(given.splitlines()))
        assert [row["text"] for row in rows] == TEXTS
        assert [row["prediction"] for row in rows] == [server.predict(text)[0]["label"] for text in TEXTS]

        (tmp_path / "in.csv").write_text("id,tekst\n1,a\n")
        browser.upload("#file", tmp_path / "in.csv")
        browser.until("!document.getElementById('problem').hidden")
        assert "no column text" in browser.evaluate("document.getElementById('problem').innerText")

        browser.evaluate("document.getElementById('language').click()")
        assert browser.evaluate("document.documentElement.lang") == ("zh-CN" if language == "en-US" else "en")
        unlabelled = "[...document.querySelectorAll('input, textarea')].filter((one) => !one.labels.length).length"
        assert browser.evaluate(unlabelled) == 0
        host = str(server.base_url)
        assert all(address.startswith((host, "blob:")) for address in browser.addresses())
        assert [line for line in browser.complaints() if "422" not in line] == []


def test_pairs_thresholds_and_a_key_by_keyboard_alone(tmp_path):
    several = {"problem_type": "multi_label_classification", "decision_thresholds": [0.3, 0.5, 0.7]}
    folder = save_bert(tmp_path, pairs=True, labels=["<b>财经</b>", *LABELS[1:]], **several)
    with serving(folder, api_key="secret") as client, Browser() as browser:
        browser.open(str(client.base_url))
        browser.until("!document.getElementById('key_form').hidden")
        browser.press("Tab", code=9)
        browser.press("Tab", code=9)
        browser.type("secret")
        browser.press("Enter", code=13, text="\r")
        browser.until("document.activeElement.id === 'text'")
        browser.type("股市")
        browser.press("Tab", code=9)
        browser.type("大涨")
        browser.press("Tab", code=9)
        browser.press("Enter", code=13, text="\r")
        browser.until("document.querySelectorAll('.bars li').length === 3")
        client.headers["authorization"] = "Bearer secret"
        expected = [one["label"] for one in client.predict(["股市", "大涨"]) if one["predicted"]]
        found = browser.evaluate("[...document.querySelectorAll('.verdict .chip')].map((one) => one.innerText)")
        assert found == expected and 0 < len(found) < 3
        assert browser.evaluate("document.querySelectorAll('.bars .track i').length") == 3
        assert browser.evaluate("document.querySelectorAll('#answer b').length") == 0
