"""The recipe, from training to what others make of its files."""

import base64
import importlib.util
import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, ChineseCLIPModel, pipeline

from hfcls.data.muge import MUGE
from hfcls.errors import InputError
from hfcls.retrieval.zero_shot import find_classes
from hfcls.runs.hub import files_to_push
from tests.hub_server import serve_hub
from tests.images.kinds import save_kinds
from tests.runs.test_pushed_baselines import PUSH
from tests.text.test_baselines import run
from tests.warm import run_apart

FLAGS = (
    "--from_scratch tiny --max_train_samples 30 --max_eval_samples 20 --num_train_epochs 2 --dataloader_num_workers 0"
)

LOAD = """
import json, sys
sys.modules["hfcls"] = sys.modules["torchvision"] = None  # importing them raises ImportError, installed or not
import torch
from transformers import AutoModel, AutoProcessor, pipeline
name, picture = sys.argv[1:]
model, processor = AutoModel.from_pretrained(name).eval(), AutoProcessor.from_pretrained(name)
from PIL import Image
inputs = processor(text=["图片里写着三和七"], images=[Image.open(picture)], return_tensors="pt")
with torch.no_grad():
    outputs = model(**inputs)
answers = pipeline("zero-shot-image-classification", model=name)(
    picture, candidate_labels=["三和七", "八和九"], hypothesis_template="图片里写着{}"
)
print(json.dumps([outputs.image_embeds[0].tolist(), outputs.text_embeds[0].tolist(), answers]))
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run, and what it printed of itself."""
    folder = tmp_path_factory.mktemp("muge")
    for seed, name in enumerate(("一", "白", "黑")):
        save_kinds(folder / "pictures" / name, seed)
    with pytest.MonkeyPatch.context() as patch:
        results = run("muge_clip.py", f"{FLAGS} --zero_shot_dir {folder / 'pictures'}", folder / "out", patch)
    return folder / "out", results


@pytest.fixture(scope="module")
def texts_of_test():
    builder = MUGE("texts")
    builder.download_and_prepare()
    return builder.as_dataset()["test"]


def test_results(finished, texts_of_test):
    output_dir, results = finished
    history = json.loads((output_dir / "trainer_state.json").read_text())["log_history"]
    evaluations = [entry for entry in history if "eval_loss" in entry]
    assert [entry["epoch"] for entry in evaluations] == [0, 1, 2]
    assert "eval_accuracy" not in evaluations[0]  # there are no classes
    assert evaluations[2]["eval_loss"] < evaluations[0]["eval_loss"]
    assert results["start_recall_at_1"] == evaluations[0]["eval_recall_at_1"]


def test_zero_shot_accuracy_is_that_of_the_pipeline(finished):
    output_dir, results = finished
    pictures = sorted((output_dir.parent / "pictures").glob("*/*.*"))
    classes = sorted({path.parent.name for path in pictures})
    classify = pipeline("zero-shot-image-classification", model=str(output_dir))
    answers = classify([str(path) for path in pictures], candidate_labels=classes, hypothesis_template="一张{}的图片。")
    right = [answer[0]["label"] == path.parent.name for answer, path in zip(answers, pictures, strict=True)]
    assert 0 < sum(right) < len(right)  # or any other measure might give the same
    assert results["zero_shot_accuracy"] == sum(right) / len(right)
    assert (results["zero_shot_pictures"], results["zero_shot_classes"]) == (len(pictures), 3)


def test_predictions_are_the_ten_nearest_and_give_the_recall_that_was_reported(finished, texts_of_test):
    """Against the model as anyone loads it, all cosines at once, and recall counted a text at a time."""
    output_dir, results = finished
    images = MUGE("images").as_dataset()["test"]
    model, processor = ChineseCLIPModel.from_pretrained(output_dir).eval(), AutoProcessor.from_pretrained(output_dir)
    with torch.no_grad():
        outputs = model(
            **processor.tokenizer(texts_of_test["text"][:], padding=True, return_tensors="pt"),
            **processor.image_processor([Image.open(io.BytesIO(one)) for one in images["image"]], return_tensors="pt"),
        )
    cosines = (outputs.text_embeds @ outputs.image_embeds.T).numpy()

    answers = {row["id"]: row["image_ids"] for row in texts_of_test}
    found = [json.loads(line) for line in (output_dir / "predictions.jsonl").read_text().splitlines()]
    assert [row["text_id"] for row in found] == list(answers)
    place = {image_id: row for row, image_id in enumerate(images["id"])}
    for row, of_text in zip(found, cosines, strict=True):
        assert len(row["image_ids"]) == len({*row["image_ids"]}) == 10
        chosen = of_text[[place[image_id] for image_id in row["image_ids"]]]
        np.testing.assert_allclose(chosen, np.sort(of_text)[:-11:-1], atol=1e-5)

    recalls = {}
    for k in (1, 5, 10):
        right = sum(any(one in row["image_ids"][:k] for one in answers[row["text_id"]]) for row in found)
        recalls[f"recall_at_{k}"] = right / len(answers)
    recalls["mean_recall"] = sum(recalls.values()) / 3
    assert {name: results[f"test_{name}"] for name in recalls} == pytest.approx(recalls, rel=1e-12)


@pytest.mark.skipif(importlib.util.find_spec("cn_clip") is None, reason="needs cn-clip (extra cn-clip)")
def test_cn_clip_scores_alike(finished, texts_of_test, tmp_path):
    output_dir, results = finished
    evaluation = Path(importlib.util.find_spec("cn_clip").origin).parent / "eval" / "evaluation.py"
    with (tmp_path / "answers.jsonl").open("w") as file:
        for row in texts_of_test:
            file.write(json.dumps({"text_id": row["id"], "image_ids": row["image_ids"]}) + "\n")
    files = [tmp_path / "answers.jsonl", output_dir / "predictions.jsonl", tmp_path / "score.json"]
    subprocess.run([sys.executable, evaluation, *files], check=True, stdout=subprocess.DEVNULL)
    score = json.loads((tmp_path / "score.json").read_text())["scoreJson"]
    assert score["mean_recall"] == pytest.approx(100 * results["test_mean_recall"])
    for k in (1, 5, 10):
        assert score[f"r{k}"] == pytest.approx(100 * results[f"test_recall_at_{k}"])


def test_measured_again(finished, tmp_path, monkeypatch):
    output_dir, results = finished
    again = run("muge_clip.py", f"--evaluate_only {output_dir} --max_eval_samples 20", tmp_path / "again", monkeypatch)
    for name in ("recall_at_1", "recall_at_10", "image_to_text_mean_recall"):
        assert again[f"test_{name}"] == results[f"test_{name}"]
    page = (tmp_path / "again" / "report.html").read_text(encoding="utf-8")
    assert "nothing was trained" in page


def test_pushed_and_loaded_without_hfcls(finished, tmp_path):
    output_dir, _ = finished
    assert [path.name for path in files_to_push(output_dir)] == [
        *("README.md", "all_results.json", "config.json", "model.safetensors"),
        *("processor_config.json", "tokenizer.json", "tokenizer_config.json"),
    ]
    picture = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(picture)
    with serve_hub() as hub:
        push = json.dumps([[str(output_dir), "tester/clip"]])
        run_apart("-c", PUSH, given=push, environment=hub.environment(), check=True)
        options = {"environment": hub.environment(tmp_path / "hf"), "folder": tmp_path, "check": True}
        done = run_apart("-c", LOAD, "tester/clip", picture, **options)
    *features, answers = json.loads(done.stdout)

    model = ChineseCLIPModel.from_pretrained(output_dir).eval()
    classify = pipeline("zero-shot-image-classification", model=str(output_dir))
    inputs = classify.tokenizer(["图片里写着三和七"], return_tensors="pt")
    inputs |= classify.image_processor([Image.open(picture)], return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs)
    np.testing.assert_allclose(features[0], outputs.image_embeds[0], atol=1e-6)
    np.testing.assert_allclose(features[1], outputs.text_embeds[0], atol=1e-6)
    assert {answer["label"] for answer in answers} == {"三和七", "八和九"}


def test_report_and_card(finished):
    output_dir, results = finished
    page = (output_dir / "report.html").read_text(encoding="utf-8")
    queries = json.loads((output_dir / "examples.json").read_text(encoding="utf-8"))["queries"]
    assert page.count("<img ") == 5 * len(queries)
    assert page.count('class="hit"') == sum(
        bool(picture["right"]) for query in queries for picture in query["pictures"]
    )
    assert f"{results['test_recall_at_10']:.4f}" in page
    assert "Recall, image to text" in page and "Training made the model worse" not in page
    card = (output_dir / "README.md").read_text(encoding="utf-8")
    assert "hypothesis_template" in card and "| Recall@10 |" in card


def test_a_run_that_falls_below_its_start_says_so(finished, tmp_path):
    from hfcls.report import write_report

    output_dir, results = finished
    for name in ("run.json", "trainer_state.json", "examples.json"):
        (tmp_path / name).write_bytes((output_dir / name).read_bytes())
    worse = results | {"start_recall_at_1": 0.9}
    (tmp_path / "all_results.json").write_text(json.dumps(worse))
    assert "Training made the model worse" in write_report(tmp_path).read_text(encoding="utf-8")
    (tmp_path / "examples.json").write_text(json.dumps({"queries": [{"kind": "random", "text_id": 1, "text": "x"}]}))
    with pytest.raises(InputError, match="examples.json: queries: 'pictures' is missing"):
        write_report(tmp_path)


@pytest.fixture
def corpus(tmp_path):
    """A folder with twelve pictures of a split, three of which two texts describe; the answers of test are unknown."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("train", "valid", "test"):
        grey = [picture_file(Image.new("L", (32, 16), 20 * number)) for number in range(12)]
        write_pictures(folder / f"{name}_imgs.tsv", grey)
        ids = [[], []] if name == "test" else [[0, 1], [2]]
        rows = [{"text_id": row, "text": f"图{row}", "image_ids": ids[row]} for row in range(2)]
        (folder / f"{name}_texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def picture_file(picture, kind="PNG"):
    content = io.BytesIO()
    picture.save(content, kind)
    return content.getvalue()


def write_pictures(path, contents):
    lines = [f"{number}\t{base64.b64encode(content).decode()}\n" for number, content in enumerate(contents)]
    path.write_text("".join(lines))


def test_unknown_answers_give_predictions_and_no_recall(corpus, tmp_path, monkeypatch, finished):
    flags = f"--evaluate_only {finished[0]} --data_dir {corpus}"
    results = run("muge_clip.py", flags, tmp_path / "out", monkeypatch)
    assert not any("recall" in name for name in results)
    assert len((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()) == 2
    assert "send predictions.jsonl" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def jpeg_cut_in_half():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = picture_file(Image.fromarray(noise), "JPEG")
    return content[: len(content) // 2]


def png_that_does_not_unpack():
    """Every checksum is right."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 32, 16, 8, 0, 0, 0, 0)
    chunks = [header, b"IDAT no zlib stream", b"IEND"]
    framed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


TORN = {
    "no picture": (b"no picture", "no format that Pillow knows"),
    "jpeg": (jpeg_cut_in_half(), "image file is truncated"),
    "png": (png_that_does_not_unpack(), "broken data stream"),
}


@pytest.mark.parametrize(
    ("kind", "split"), [("no picture", "test"), ("jpeg", "test"), ("png", "test"), ("jpeg", "valid"), ("png", "train")]
)
def test_a_torn_picture_is_one_line_with_file_and_line(kind, split, corpus, tmp_path, monkeypatch, capsys):
    content, message = TORN[kind]
    pictures = [picture_file(Image.new("L", (32, 16)))] * 12
    write_pictures(corpus / f"{split}_imgs.tsv", [*pictures[:3], content, *pictures[3:]])
    flags = f"--from_scratch tiny --num_train_epochs 1 --dataloader_num_workers 0 --data_dir {corpus}"
    with pytest.raises(SystemExit, match="2"):
        run("muge_clip.py", flags, tmp_path / "out", monkeypatch)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"error: {corpus}/{split}_imgs.tsv:4: image 3 cannot be read ({message}")
    assert error.endswith("; replace or remove it")
    assert not (tmp_path / "out").exists()  # before the model is built


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--from_scratch tiny --model_name_or_path x", "exclude each other"),
        ("--vocab v.txt", "--vocab goes with --from_scratch"),
        ("--patch_masking 1", "a share of at least 0 and below 1"),
        ("--contrastive_accumulation 0", "give at least 1"),
        ("--prompt 图片", "must hold {} once"),
        ("--prompt 图片{0}{}", "must hold {} once"),
        ("--class_weight balanced", "--class_weight is not a flag"),
        ("--model_name_or_path {bert}", "is a bert, not a Chinese-CLIP"),
    ],
)
def test_mistakes_are_one_line(flags, message, tmp_path, monkeypatch, capsys):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(SystemExit):
        run("muge_clip.py", flags.replace("{bert}", str(tmp_path)), tmp_path / "out", monkeypatch)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and message in error


def test_folders_without_pictures_are_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        find_classes(tmp_path / "nowhere")
    for name in ("a", "b", "__MACOSX"):
        (tmp_path / name).mkdir()
    for hidden in ("b/._1.png", "__MACOSX/._1.png"):
        (tmp_path / hidden).write_bytes(b"\0\5\x16\7")
    Image.new("L", (3, 3)).save(tmp_path / "a" / "1.png")
    with pytest.raises(InputError, match="1 folders hold pictures"):
        find_classes(tmp_path)


def test_no_class_without_a_picture(tmp_path, caplog):
    for name in ("a", "b", "empty"):
        (tmp_path / name).mkdir()
    for name in ("a/1.png", "b/1.PNG"):
        Image.new("LA", (3, 3)).save(tmp_path / name)
    assert find_classes(tmp_path) == {"a": [tmp_path / "a" / "1.png"], "b": [tmp_path / "b" / "1.PNG"]}
    assert "1 folders without a picture are no classes (empty)" in caplog.text
    assert "2 pictures have transparent parts" in caplog.text


@pytest.mark.parametrize("wrong", ["no folder", "a torn picture"])
def test_pictures_for_zero_shot_are_read_before_training(wrong, tmp_path, monkeypatch, capsys):
    """A typing error is found before the model is built: nothing of a run is there yet."""
    folder = tmp_path / "pictures"
    if wrong == "a torn picture":
        for name in ("a", "b"):
            (folder / name).mkdir(parents=True)
            Image.effect_noise((64, 64), 50).save(folder / name / "1.jpg")
        (folder / "b" / "1.jpg").write_bytes((folder / "b" / "1.jpg").read_bytes()[:900])
    said = "no such folder" if wrong == "no folder" else "b/1.jpg: cannot be read"
    with pytest.raises(SystemExit, match="2"):
        run("muge_clip.py", f"{FLAGS} --zero_shot_dir {folder}", tmp_path / "out", monkeypatch)
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
