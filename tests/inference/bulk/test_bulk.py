"""Many files classified at once: by every engine the same, each row once, nothing lost in silence."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import fsspec
import numpy as np
import pandas
import pyarrow.parquet
import pytest
from PIL import Image

from hfcls.cli import main
from hfcls.inference.bulk.job import Fragment, Job, find_fragments
from hfcls.inference.bulk.storage import written_whole
from hfcls.inference.bulk.texts import labelled
from hfcls.inference.bulk.worker import begin_worker
from hfcls.inference.classifier import Classifier
from hfcls.inference.loading import load_chinese_clip, load_image_classifier

MODELS = Path(__file__).parents[2] / "saved_models"
MODEL = str(MODELS / "bert")
TEXTS = ["明湖保险推出新型分红险", "流浪狗守候医院门口", "股市", "", "THE iPhone 4S 售价 $199", "球队赢得冠军" * 99]


def predict(*words, code: int = 0) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["predict", *map(str, words)])
    assert ended.value.code == code


def write_files(folder: Path) -> None:
    """Texts of six rows in each format, with a column besides."""
    table = pandas.DataFrame({"id": range(len(TEXTS)), "text": TEXTS})
    (folder / "deeper").mkdir(parents=True)
    table.to_parquet(folder / "part-0.parquet")
    table[::-1].to_csv(folder / "part-1.csv", index=False)
    table.to_csv(folder / "part-2.csv.gz", index=False)
    table.to_json(folder / "deeper" / "part-3.jsonl", orient="records", lines=True, force_ascii=False)
    (folder / ".hidden.csv").write_text("no text\n", encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def files(tmp_path):
    write_files(tmp_path / "in")
    return tmp_path / "in"


def test_answers_are_those_of_the_classifier(files, tmp_path, capsys):
    out = tmp_path / "out"
    predict(MODEL, "--input", files, "--output", out, "--engine", "local", "--all_probabilities")
    assert "24 rows of 4 files" in capsys.readouterr().out
    assert sorted(contents(out)) == [
        *("deeper/part-3.jsonl.parquet", "job.json", "part-0.parquet", "part-1.csv.parquet", "part-2.csv.gz.parquet")
    ]
    classifier = Classifier(MODEL)
    answers = pandas.read_parquet(out / "part-0.parquet")
    assert answers["id"].tolist() == list(range(len(TEXTS))) and answers["text"].tolist() == TEXTS
    expected = classifier(pandas.DataFrame({"text": TEXTS}))
    assert answers["prediction"].tolist() == expected["prediction"].tolist()
    assert answers["truncated"].tolist() == expected["truncated"].tolist()
    assert answers["truncated"].tolist()[2::3] == [False, True]
    assert answers["probability"].tolist() == pytest.approx(expected["probability"].tolist(), abs=1e-6)
    assert answers[classifier.labels].to_numpy() == pytest.approx(classifier.probabilities(TEXTS), abs=1e-6)
    backwards = pandas.read_parquet(out / "part-1.csv.parquet")
    assert backwards["id"].tolist() == [str(number) for number in reversed(range(len(TEXTS)))]
    assert backwards["prediction"].tolist() == answers["prediction"].tolist()[::-1]


def test_several_labels_and_second_texts(tmp_path):
    (tmp_path / "in").mkdir()
    pandas.DataFrame({"text": TEXTS, "below": TEXTS[::-1]}).to_parquet(tmp_path / "in" / "a.parquet")
    flags = ("--input", tmp_path / "in", "--engine", "local")
    predict(MODELS / "ngram_linear_multi_label", *flags, "--output", tmp_path / "a")
    answers = pandas.read_parquet(tmp_path / "a" / "a.parquet")
    assert all(len(row.prediction) == len(row.probability) for row in answers.itertuples())
    predict(MODELS / "bert_pair", *flags, "--text_pair_column", "below", "--output", tmp_path / "b")
    expected = Classifier(MODELS / "bert_pair")(TEXTS, TEXTS[::-1])
    answers = pandas.read_parquet(tmp_path / "b" / "a.parquet")
    assert answers["prediction"].tolist() == [one.label for one in expected]


def test_pictures_by_path_and_by_content(tmp_path):
    images = [Image.fromarray(np.random.default_rng(n).integers(0, 255, (20, 30, 3), np.uint8)) for n in range(3)]
    for number, image in enumerate(images):
        image.save(tmp_path / f"{number}.png")
    (tmp_path / "in").mkdir()
    paths = [str(tmp_path / f"{number}.png") for number in range(3)]
    pandas.DataFrame({"id": range(4), "file": [*paths, "absent.png"]}).to_csv(tmp_path / "in" / "a.csv", index=False)
    contents = [{"bytes": Path(path).read_bytes(), "path": None} for path in paths]
    pandas.DataFrame({"file": contents}).to_parquet(tmp_path / "in" / "b.parquet")
    flags = ("--engine", "local", "--input", tmp_path / "in", "--image_column", "file", "--max_bad_rows", 1)
    predict(MODELS / "image_cnn", *flags, "--output", tmp_path / "out")
    processor, model = load_image_classifier(str(MODELS / "image_cnn"))
    expected = model.eval()(**processor(images, return_tensors="pt")).logits.softmax(1).max(1)
    by_path, by_content = (pandas.read_parquet(tmp_path / "out" / name) for name in ("a.csv.parquet", "b.parquet"))
    assert by_path["id"].tolist() == ["0", "1", "2"] and len(by_content) == 3
    for answers in (by_path, by_content):
        assert answers["prediction"].tolist() == [str(number) for number in expected.indices.tolist()]
        assert answers["probability"].tolist() == pytest.approx(expected.values.tolist(), abs=1e-5)
    bad = json.loads((tmp_path / "out" / "a.csv.bad.jsonl").read_text(encoding="utf-8"))
    assert bad["line"] == 5 and "the picture cannot be read" in bad["reason"]


def test_embeddings_of_pictures(tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8))
    image.save(tmp_path / "a.png")
    pandas.DataFrame({"file": [str(tmp_path / "a.png")] * 2}).to_csv(tmp_path / "a.csv", index=False)
    flags = ("--engine", "local", "--input", tmp_path / "a.csv", "--image_column", "file")
    predict(MODELS / "chinese_clip", *flags, "--output", tmp_path / "out")
    processor, model = load_chinese_clip(str(MODELS / "chinese_clip"))
    features = model.eval().get_image_features(**processor.image_processor([image], return_tensors="pt")).pooler_output
    expected = (features / features.norm()).tolist()[0]
    for embedding in pandas.read_parquet(tmp_path / "out" / "a.csv.parquet")["embedding"]:
        assert embedding.tolist() == pytest.approx(expected, abs=1e-5)


def test_embeddings_of_texts(tmp_path, capsys):
    texts = ["股市", "", "球队赢得冠军" * 99, "流浪狗"]
    pandas.DataFrame({"text": texts}).to_parquet(tmp_path / "b.parquet")
    flags = ("--engine", "local", "--input", tmp_path / "b.parquet")
    predict(MODELS / "chinese_clip", *flags, "--output", tmp_path / "out")
    answers = pandas.read_parquet(tmp_path / "out" / "b.parquet")
    processor, model = load_chinese_clip(str(MODELS / "chinese_clip"))
    for row, text in enumerate(texts):
        inputs = processor.tokenizer(text, truncation=True, return_tensors="pt")
        features = model.eval().get_text_features(**inputs).pooler_output[0]
        assert answers["embedding"][row].tolist() == pytest.approx((features / features.norm()).tolist(), abs=1e-5)
    assert answers["truncated"].tolist() == [False, False, True, False]
    predict(MODELS / "chinese_clip", *flags, "--output", tmp_path / "p", "--all_probabilities", code=2)
    assert "embeds one text a row" in capsys.readouterr().err


def test_the_same_command_does_what_is_missing(files, tmp_path, capsys):
    out, flags = tmp_path / "out", ("--engine", "local")
    predict(MODEL, "--input", files, "--output", out, *flags)
    whole = contents(out)
    (out / "part-0.parquet").unlink()
    (out / ".part-0.parquet.part").write_bytes(b"PAR1 torn")  # a kill left it
    kept = (out / "part-1.csv.parquet").stat().st_mtime_ns
    capsys.readouterr()
    predict(MODEL, "--input", files, "--output", out, *flags)
    said = capsys.readouterr()
    assert "3 of 4 files have answers" in said.err and "6 rows of 1 files" in said.out
    assert contents(out) == whole and (out / "part-1.csv.parquet").stat().st_mtime_ns == kept
    predict(MODEL, "--input", files, "--output", out, *flags, "--all_probabilities", code=2)
    predict(MODELS / "dpcnn", "--input", files, "--output", out, *flags, code=2)
    assert contents(out) == whole and capsys.readouterr().err.count("answers of another job") == 2


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "out" / "a.parquet"
    with written_whole(str(path)) as slow:
        Path(slow).write_bytes(b"the first half")
        with written_whole(str(path)) as fast:
            Path(fast).write_bytes(b"whole")
        assert path.read_bytes() == b"whole"
        Path(slow).write_bytes(b"whole, later")
    assert path.read_bytes() == b"whole, later"
    with pytest.raises(ValueError, match="torn"), written_whole(str(path)) as part:
        Path(part).write_bytes(b"half")
        raise ValueError("torn")
    assert contents(tmp_path / "out") == {"a.parquet": b"whole, later"}


def test_without_a_model_each_file_is_told_so():
    done = begin_worker(Job("nowhere/model"))(Fragment("a.csv", "a.parquet"))
    assert done.rows == 0 and "nowhere/model" in done.error


def test_scores_that_are_no_numbers_have_no_label():
    scores = np.array([[0.2, 0.8], [np.nan, np.nan], [0.5, 0.5]], np.float32)
    given = labelled(scores, ["a", "b"], None)
    assert given["prediction"].to_pylist() == ["b", None, "a"]
    assert given["probability"].to_pylist() == [float(np.float32(0.8)), None, 0.5]


def test_bad_rows_are_told_and_kept_apart(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    lines = [{"text": "股市"}, {"text": ["a", "list"]}, {"text": "球队"}]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (tmp_path / "in" / "a.jsonl").write_text(text, encoding="utf-8")
    flags = ("--input", tmp_path / "in", "--output", tmp_path / "out", "--engine", "local")
    predict(MODEL, *flags, code=2)
    assert "a.jsonl:2: the text is ['a', 'list']" in capsys.readouterr().err
    assert not (tmp_path / "out" / "a.jsonl.parquet").exists()
    predict(MODEL, *flags, "--max_bad_rows", 1)
    assert "2 rows of 1 files, 1 bad rows" in capsys.readouterr().out
    assert pandas.read_parquet(tmp_path / "out" / "a.jsonl.parquet")["text"].tolist() == ["股市", "球队"]
    (bad,) = (tmp_path / "out" / "a.jsonl.bad.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(bad)["line"] == 2 and json.loads(bad)["file"].endswith("a.jsonl")
    (tmp_path / "in" / "b.jsonl").write_text(text, encoding="utf-8")
    predict(MODEL, *flags, "--max_bad_rows", 1, code=2)  # of the whole job: one is of the command before
    assert "2 rows cannot be read, more than --max_bad_rows 1" in capsys.readouterr().err
    predict(MODEL, *flags, "--max_bad_rows", 2)
    assert "2 bad rows in *.bad.jsonl" in capsys.readouterr().out


def test_a_torn_file_is_named_and_the_others_are_done(files, tmp_path, capsys):
    torn = files / "part-0.parquet"
    torn.write_bytes(torn.read_bytes()[:-20])
    predict(MODEL, "--input", files, "--output", tmp_path / "out", "--engine", "local", code=2)
    said = capsys.readouterr().err
    assert "part-0.parquet" in said and "all others have answers" in said
    assert len(list((tmp_path / "out").rglob("*.parquet"))) == 3


@pytest.mark.parametrize(
    "flags, said",
    [
        (("--input", "nowhere/*.csv"), "no such file"),
        (("--workers", "3:2"), "--workers 3:2"),
        (("--text_column", "title"), "no column title, only id, text"),
        (("--input", "nothing://bucket/a.csv"), "nothing://bucket/a.csv: cannot be opened"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(flags, said, files, tmp_path, capsys):
    flags = {"--input": str(files / "*.csv"), "--output": str(tmp_path / "out"), "--engine": "local"} | {
        flags[0]: flags[1]
    }
    predict(MODEL, *[word for flag in flags.items() for word in flag], code=2)
    assert said in capsys.readouterr().err


def test_two_at_once_are_one_too_many(files, tmp_path, capsys):
    flags = ("--input", files, "--output", tmp_path / "deep" / "out", "--engine", "local")
    holder = (
        "import sys, pathlib; from hfcls.runs.lock import locked\nwith locked(pathlib.Path(sys.argv[1]), 'x', '-y'):"
    )
    holder += " print(flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", holder, str(tmp_path / "deep" / "out.lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        predict(MODEL, *flags, code=2)
        assert "is at work there" in capsys.readouterr().err and not (tmp_path / "deep" / "out").exists()
        other.communicate()
    predict(MODEL, *flags)
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["out"]


def test_a_foreign_folder_is_left_alone(files, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine", encoding="utf-8")
    predict(MODEL, "--input", files, "--output", tmp_path / "out", "--engine", "local", code=2)
    assert "files of another origin" in capsys.readouterr().err


def test_wherever_fsspec_reaches(files, tmp_path):
    memory = fsspec.filesystem("memory")
    memory.put(str(files), "/corpus", recursive=True)
    try:
        predict(MODEL, "--input", "memory://corpus/*.csv", "--output", "memory://answers", "--engine", "local")
        with memory.open("/answers/part-1.csv.parquet") as file:
            assert pyarrow.parquet.read_table(file)["text"].to_pylist() == TEXTS[::-1]
        fragments = find_fragments("memory://corpus", "memory://answers/")
        assert [one.output for one in fragments][0] == "memory://answers/deeper/part-3.jsonl.parquet"
    finally:
        memory.store.clear()


@pytest.fixture(autouse=True)
def workers_of_ray_wait_for_nobody(monkeypatch):
    """Their niceness is 15, by which beside other work they hardly come to begin."""
    monkeypatch.setenv("RAY_worker_niceness", "0")


ENGINES = [
    pytest.param("ray", marks=pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")),
    pytest.param(
        "spark",
        marks=pytest.mark.skipif(
            find_spec("pyspark") is None or shutil.which("java") is None, reason="pyspark or Java is not installed"
        ),
    ),
]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_writes_the_same_files(engine, files, tmp_path):
    predict(MODEL, "--input", files, "--output", tmp_path / "here", "--engine", "local")
    predict(MODEL, "--input", files, "--output", tmp_path / "there", "--engine", engine, "--workers", 2)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
def test_a_job_of_ray_of_ones_own():
    import ray

    from hfcls.inference.bulk.on_ray import STORE

    ray.init(log_to_driver=False, include_dashboard=False, num_cpus=1, object_store_memory=STORE)
    try:
        data = ray.data.from_items([{"id": row, "text": text} for row, text in enumerate(TEXTS)])
        answers = data.map_batches(Classifier, fn_constructor_args=[MODEL], concurrency=1, batch_size=4).take_all()
    finally:
        ray.shutdown()
    predicted = {row["id"]: row["prediction"] for row in answers}
    assert [predicted[row] for row in range(len(TEXTS))] == [one.label for one in Classifier(MODEL)(TEXTS)]


@pytest.mark.skipif(find_spec("pyspark") is None or shutil.which("java") is None, reason="pyspark or Java is missing")
def test_a_job_of_spark_of_ones_own(monkeypatch):
    from pyspark.sql import SparkSession

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", False)
    session = builder.config("spark.driver.memory", "512m").getOrCreate()
    schema = "id long, text string, prediction string, probability double, truncated boolean"
    try:
        frame = session.createDataFrame(list(enumerate(TEXTS)), "id long, text string")
        answers = frame.mapInPandas(lambda frames: map(Classifier(MODEL), frames), schema).collect()
    finally:
        session.stop()
    predicted = {row["id"]: row["prediction"] for row in answers}
    assert [predicted[row] for row in range(len(TEXTS))] == [one.label for one in Classifier(MODEL)(TEXTS)]
