"""Makes the saved models of this folder. Run from a checkout of commit 3ebe4c0, in the environment of its lock file:

    HF_HUB_OFFLINE=1 TQDM_DISABLE=1 python FOLDER/make.py            all of them
    HF_HUB_OFFLINE=1 TQDM_DISABLE=1 python FOLDER/make.py dpcnn bert  some of them

Every model comes from a recipe of that commit, run on its embedded sample or on a table that is invented here, in a
folder of its own that is removed afterwards. Where no flag makes a model small, the defaults of its config are lowered
first (`lower`). What a run leaves behind goes to FOLDER/<name>, except checkpoints, report.html and training_args.bin;
`expected.json` beside it holds the answers that the commit gives.
"""

import csv
import importlib
import json
import os
import random
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = Path.cwd()
LEFT_OUT = ("report.html", "training_args.bin", "probabilities.npz")

TINY = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 64}

HEADLINES = [
    "明湖保险推出新型分红险 门槛500万",
    "流浪狗守候医院门口等主人",
    "老戏骨长沙开唱 12首歌飙到底",
    "杭州二手房9月网签180套 均价28000元/平",
    "股市",
    "a",
    "[PAD] 球队 [UNK] 赢得冠军",
    "THE iPhone 4S 售价 $199 :-)",
    "学区房一周涨三回，买家直呼看不懂，专家解读准备金率年内九度上调，女篮联赛后卫砍90分，网游战队赛下月开打奖金三万",
    "机构一季度建仓酿酒股成首选" * 8,
]
REVIEWS = [
    "An excellent little gem. The acting gave me goosebumps.",
    "The twist never really works. It runs out of steam after the first hour.",
    "Boring!",
    "I don't know.",
    "Zzyzx qwrtp 12345 ...",
    "It drags, it is slow, and the plot is silly; " * 6 + "but the last scene is superb, I cannot recommend it enough.",
    "Every minute is terrific and the story is simply perfect. " * 6
    + "Then again, the ending is awful and I was bored.",
]
NEWS = [
    (
        "北湖车站推出便民服务受好评",
        "为方便市民，北湖车站推出多项便民服务。周三，办事时间缩短一半，大家都说满意，前景令人期待。",
    ),
    ("质量堪忧：古渡超市被处罚", "古渡超市因产品不合格被处罚。昨天，消费者投诉不断，退款困难，让人十分气愤。"),
    (
        "长桥医院下周调整营业时间",
        "长桥医院发布公告，自下周起调整营业时间。下午，具体安排以现场通知为准，详情请见公告。",
    ),
    ("只有标题", ""),
    ("短", "好"),
    ("新野发布电子厂统计数据", "新野统计部门发布电子厂本月数据，与上月基本持平。" * 6),
    ("一个很长很长的标题" * 8, "群众纷纷点赞，前景令人期待。"),
]
COMMENTS = [
    "the soup was warm and the bread was fresh",
    "we saw the castle and the harbour from the train",
    "a guitar and a drum",
    "Hello",
    "The TRAIN, the ticket & the castle!",
    "unknown wording everywhere hereabouts",
    "a guitar and a drum and a choir were there on a day that was long and quiet and then we ate soup and "
    "bread and rice",
    "soup bread rice plate spoon fresh and on that day we were all in the town where the road is long and met a choir",
    "castle " * 30,
]
CARDS = [
    {
        "card": "---\nlicense: mit\n---\n# Dataset Card for fresh news\n\n## Dataset Summary\n\nArticles and their "
        "<b>summaries</b>, for summarization.\n\n## Supported Tasks\n\nsummarization\n",
        "name": "owner/fresh_news",
        "downloads": 120,
        "size": None,
        "num_rows": 5000,
    },
    {"card": "", "name": "someone/speech-commands", "downloads": None, "size": None, "num_rows": None},
    {
        "card": "# Pairs\n\n## Dataset Summary\nSentences of two languages, "
        + "parallel corpus for translation, " * 30,
        "name": "OtherOwner/ParallelPairs",
        "downloads": 7.0,
        "size": 1.5e6,
        "num_rows": -1,
    },
]


@dataclass
class Fixture:
    """One saved model.

    Attributes:
        command: the recipe and its flags.
        expect: what asks it: texts, pairs, cards, digits or pictures.
        given: texts to ask about.
        tiny: language of a random BERT that is laid beside the run as `tiny_bert`.
        lower: where a class or function stands → keyword arguments that replace those it is called with.
    """

    command: str
    expect: str = "texts"
    given: list = field(default_factory=list)
    tiny: str | None = None
    lower: dict[str, dict] = field(default_factory=dict)


CUT = "--max_test_samples 40 --max_eval_samples 60"
FIXTURES = {
    "bert": Fixture(
        f"thucnews_bert --model_name_or_path tiny_bert --max_length 14 --learning_rate 5e-3 --num_train_epochs 5 "
        f"--eval_strategy epoch --per_device_train_batch_size 16 {CUT}",
        given=HEADLINES,
        tiny="zh",
    ),
    "bert_pair": Fixture(
        f"ccf_sentiment_bert --model_name_or_path tiny_bert --max_length 32 --learning_rate 5e-3 "
        f"--num_train_epochs 4 {CUT}",
        expect="pairs",
        given=NEWS,
        tiny="zh",
    ),
    "bert_calibrated": Fixture(
        f"imdb_bert --model_name_or_path tiny_bert --max_length 40 --learning_rate 3e-3 "
        f"--num_train_epochs 12 --calibrate {CUT}",
        given=REVIEWS,
        tiny="en",
    ),
    "text_rnn": Fixture(
        f"thucnews_rnn --cell lstm --pooling attention --hidden_size 8 --embedding_dim 8 --num_layers 1 "
        f"--vocab_size 300 --max_length 16 --learning_rate 2e-2 --num_train_epochs 8 "
        f"--per_device_train_batch_size 16 {CUT}",
        given=HEADLINES,
    ),
    "text_cnn": Fixture(
        f"text_classification --data_dir comments.csv --language en --architecture text_cnn --tokens word "
        f"--truncation tail --max_length 6 --embedding_dim 8 --learning_rate 3e-2 --num_train_epochs 5 {CUT}",
        given=COMMENTS,
        lower={"hfcls.baselines.TextCNNConfig": {"num_filters": 8}},
    ),
    "dpcnn": Fixture(
        f"imdb_lstm --architecture dpcnn --vocab_size 300 --embedding_dim 8 --max_length 32 --learning_rate 5e-3 "
        f"--num_train_epochs 2 --per_device_train_batch_size 16 {CUT}",
        given=REVIEWS,
        lower={"hfcls.baselines.DPCNNConfig": {"num_filters": 8}},
    ),
    "ngram_linear": Fixture(
        f"thucnews_rnn --architecture ngram_linear --vocab_size 300 --min_count 20 --num_train_epochs 2 {CUT}",
        given=HEADLINES,
    ),
    "ngram_linear_multi_label": Fixture(
        f"text_classification --data_dir tags.jsonl --label_column tags --multi_label --language en "
        f"--architecture ngram_linear --tokens word --min_count 8 --per_device_train_batch_size 32 --calibrate {CUT}",
        given=COMMENTS,
    ),
    "jieba": Fixture(
        f"thucnews_rnn --architecture text_cnn --tokens jieba --vocab_size 300 --embedding_dim 8 --max_length 12 "
        f"--learning_rate 1e-2 --num_train_epochs 2 --per_device_train_batch_size 16 {CUT}",
        given=HEADLINES,
        lower={"hfcls.baselines.TextCNNConfig": {"num_filters": 8}},
    ),
    "image_cnn": Fixture(
        f"mnist_cnn --augment False --num_train_epochs 6 --learning_rate 5e-3 {CUT}",
        expect="digits",
        lower={"hfcls.images.ImageCNNConfig": {"conv_channels": (4, 8), "hidden_sizes": (16, 12)}},
    ),
    "card_fusion": Fixture(
        "dataset_cards --data_dir cards.csv --architecture fusion --target fine --embedding_size 8", expect="cards"
    ),
    "card_fusion_both": Fixture(
        "dataset_cards --data_dir cards.csv --target both --from_scratch tiny --max_length 24 --embedding_size 8 "
        "--num_train_epochs 12 --learning_rate 3e-3",
        expect="cards",
        lower={"hfcls.models.bert.BertConfig": TINY, "hfcls.cards.train_wordpiece_tokenizer": {"vocab_size": 250}},
    ),
    "label_similarity": Fixture(
        "dataset_cards --data_dir cards.csv --architecture label_similarity --embedding_size 8 --num_train_epochs 10",
        expect="cards",
        lower={"hfcls.cards.LabelSimilarityConfig": {"hidden_size": 12}},
    ),
    "label_similarity_svm": Fixture(
        "dataset_cards --data_dir cards.csv --architecture label_similarity --classifier svm --target coarse "
        "--embedding_size 8 --num_train_epochs 10",
        expect="cards",
    ),
    "card_ngram_linear": Fixture(
        "dataset_cards --data_dir cards.csv --architecture ngram_linear",
        given=["\n".join([" ".join(re.split(r"[/_\-.]+", asked["name"])), asked["card"]]) for asked in CARDS],
        lower={"hfcls.cards.BaselineArguments": {"min_count": 12}},
    ),
    "chinese_clip": Fixture(
        "muge_clip --from_scratch tiny --max_length 12 --max_train_samples 40 --max_eval_samples 20 "
        "--max_test_samples 6 --num_train_epochs 3",
        expect="pictures",
        lower={"hfcls.models.chinese_clip.ChineseCLIPConfig": {}},
    ),
    "folds": Fixture(
        f"text_classification --data_dir comments.csv --language en --architecture ngram_linear --tokens word "
        f"--min_count 8 --num_folds 2 --per_device_train_batch_size 32 {CUT}",
        given=COMMENTS,
    ),
}

TOPICS = {
    "food": "soup bread rice plate spoon kitchen".split(),
    "music": "guitar drum choir song piano concert".split(),
    "travel": "train ticket castle harbour bridge hotel".split(),
}
NEUTRAL = "the a and on that day we were all in town where road is long then it was quiet there".split()
TASKS = {
    "summarization": ("NLP", "articles and their short summaries"),
    "translation": ("NLP", "sentences in two languages, a parallel corpus"),
    "question-answering": ("NLP", "questions and the passages that answer them"),
    "audio-classification": ("Audio", "recordings of speech commands and noises"),
    "image-classification": ("CV", "photos of animals, one class each"),
}


def comments(rows: int, rng: random.Random):
    """Texts that end in words of their topic; half of them begin with a word of another one."""
    for _ in range(rows):
        topic, other = rng.sample(sorted(TOPICS), 2)
        words = rng.choices(TOPICS[other], k=rng.randint(0, 1)) + rng.choices(NEUTRAL, k=rng.randint(3, 9))
        yield " ".join(words + rng.choices(TOPICS[topic], k=2)), topic


def write_tables() -> None:
    """comments.csv, tags.jsonl and cards.csv, into the working folder."""
    with open("comments.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *comments(400, random.Random(1))])
    rng = random.Random(2)
    with open("tags.jsonl", "w", encoding="utf-8") as file:
        for _ in range(400):
            tags = sorted(rng.sample(sorted(TOPICS), rng.choice((0, 1, 1, 2, 3))))
            words = rng.choices(NEUTRAL, k=rng.randint(3, 8))
            words += [word for tag in tags for word in rng.choices(TOPICS[tag], k=2)]
            rng.shuffle(words)
            tags = [tag for tag in tags if rng.random() > 0.1]  # some are forgotten
            file.write(json.dumps({"text": " ".join(words), "tags": tags}) + "\n")
    rng = random.Random(3)
    header = "page_link,download_time,dataset_size,dataset_number,bclass,sclass,dataset_viewer".split(",")
    with open("cards.csv", "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(header)
        for number in range(90):
            task = list(TASKS)[number % len(TASKS)]
            about = f"{TASKS[task][1]}, for {task.replace('-', ' ')}"
            card = f"\n\t# Dataset Card for set {number % 9}\n\n## Dataset Summary\n\nThis is a set of {about}.\n"
            card += f"\n## Supported Tasks\n\n{task}\n" if number % 2 else ""
            numbers = [rng.choice((-1, rng.randint(1, 9999))) for _ in range(3)]
            name = f"https://huggingface.co/datasets/owner/{task.split('-')[0]}_set_{number}"
            for label in (task, "translation")[: 2 if number % 10 == 0 else 1]:
                rows.writerow([name, *numbers, TASKS[label][0], label, card])


def write_tiny_bert(language: str) -> None:
    """A BERT with random weights, and a vocabulary of the most frequent characters or words of an embedded sample."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    samples = {"zh": ("thucnews/train.txt", "ccf_sentiment/Train_DataSet.csv"), "en": ("imdb/train.txt",)}
    texts = [(CHECKOUT / "hfcls/data/samples" / name).read_text(encoding="utf-8").lower() for name in samples[language]]
    counts = Counter(re.findall(r"[^\s\w]|[一-鿿]|[a-z]+|\d", "\n".join(texts)))
    frequent = [token for token, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:300]]
    letters = [prefix + letter for letter in "abcdefghijklmnopqrstuvwxyz0123456789" for prefix in ("", "##")]
    tokens = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *frequent, *letters])
    vocab = {token: number for number, token in enumerate(tokens)}
    torch.manual_seed(0)
    model = BertModel(BertConfig(vocab_size=len(vocab), num_hidden_layers=1, initializer_range=0.2, **TINY))
    model.save_pretrained("tiny_bert")
    BertTokenizer(vocab=vocab, model_max_length=64).save_pretrained("tiny_bert")


def lowered(target: str, values: dict) -> None:
    """Puts in the place of `target` (module.name) what calls it with `values` in place of those given."""
    module, name = target.rsplit(".", 1)
    module = importlib.import_module(module)
    original = getattr(module, name)
    if name == "ChineseCLIPConfig":
        towers = {"hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 32, "num_hidden_layers": 1}

        def changed(vision_config, text_config, projection_dim):
            vision_config |= towers | {"projection_dim": 16}
            text_config |= towers | {"max_position_embeddings": 64, "initializer_range": 24**-0.5}
            return original(vision_config=vision_config, text_config=text_config, projection_dim=16)
    else:

        def changed(*args, **given):
            return original(*args, **(given | values))

    setattr(module, name, changed)


def picture(number: int):
    """An RGB picture, 16 wide and 8 high, that follows from its number."""
    import numpy as np
    from PIL import Image

    y, x, channel = np.mgrid[0:8, 0:16, 0:3]
    return Image.fromarray(((x * (11 + 6 * number) + y * (23 - 4 * number) + 40 * channel) % 256).astype(np.uint8))


def digit(row: int):
    """The picture of a row of scikit-learn's digits, 8 × 8, grey."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    return Image.fromarray(np.round(load_digits().images[row] * (255 / 16)).astype(np.uint8))


def expected(fixture: Fixture, folder: Path) -> dict:
    """What the model in `folder` answers."""
    if fixture.expect == "cards":
        from hfcls import DatasetCardClassifier

        classifier = DatasetCardClassifier.from_pretrained(str(folder))
        return {"cards": CARDS, "top_k": 3, "answers": [classifier(**asked, top_k=3) for asked in CARDS]}
    if fixture.expect == "digits":
        from transformers import pipeline

        from hfcls.loading import load

        processor, model = load(str(folder), task="image-classification")
        classify = pipeline("image-classification", model=model, image_processor=processor, device="cpu")
        rows = [0, 7, 100, 1000, 1796]
        answers = [{one["label"]: one["score"] for one in classify(digit(row), top_k=10)} for row in rows]
        labels = [str(number) for number in range(10)]
        return {
            "pictures": "rows of sklearn.datasets.load_digits().images: round(image * (255 / 16)) as uint8, 8 x 8",
            "rows": rows,
            "labels": labels,
            "probabilities": [[answer[label] for label in labels] for answer in answers],
        }
    if fixture.expect == "pictures":
        import torch

        from hfcls.loading import load

        processor, model = load(str(folder), task="zero-shot-image-classification")
        texts = ["左边是三，右边是八", "图片里写着三和七", "零"]
        images = [picture(0), picture(1)]
        inputs = processor(text=texts, images=images, padding=True, return_tensors="pt")
        with torch.no_grad():
            outputs = model.eval()(**inputs)
        return {
            "pictures": "RGB, 16 wide, 8 high; of picture n, channel c at (x, y): "
            "(x * (11 + 6 * n) + y * (23 - 4 * n) + 40 * c) % 256; n = 0 and 1",
            "texts": texts,
            "logits_per_image": outputs.logits_per_image.tolist(),
            "image_embeds": outputs.image_embeds.tolist(),
            "text_embeds": outputs.text_embeds.tolist(),
        }
    from hfcls.prediction import load_classifier

    classifier = load_classifier(str(folder))
    texts = [row[0] for row in fixture.given] if fixture.expect == "pairs" else fixture.given
    pairs = [row[1] for row in fixture.given] if fixture.expect == "pairs" else None
    return {
        "texts": texts,
        "pairs": pairs,
        "labels": classifier.labels,
        "probabilities": classifier.probabilities(texts, pairs=pairs).tolist(),
    }


def make(name: str) -> None:
    """Makes one fixture in the working folder, a fresh one, and moves it to its place."""
    fixture = FIXTURES[name]
    write_tables()
    if fixture.tiny is not None:
        write_tiny_bert(fixture.tiny)
    os.symlink(CHECKOUT / "recipes", "recipes")
    for target, values in fixture.lower.items():
        lowered(target, values)
    recipe, *flags = fixture.command.split()
    sys.argv = [f"recipes/{recipe}.py", *flags, "--output_dir", f"outputs/{name}"]
    runpy.run_path(sys.argv[0], run_name="__main__")

    output_dir, target = Path("outputs", name), HERE / name
    shutil.rmtree(target, ignore_errors=True)
    for path in sorted(output_dir.rglob("*")):
        relative = path.relative_to(output_dir)
        checkpoint = any(part.startswith("checkpoint-") for part in relative.parts)
        if path.is_file() and not checkpoint and path.name not in LEFT_OUT:
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / relative)
    os.chdir(HERE)
    for config in sorted(Path(name).rglob("config.json")):
        answers = json.dumps(expected(fixture, config.parent), ensure_ascii=False, indent=1)
        # Rows of numbers on a line each.
        answers = re.sub(r"\[\s+([-\d.e,\s]+?)\s+\]", lambda row: f"[{' '.join(row[1].split())}]", answers)
        (config.parent / "expected.json").write_text(answers + "\n", encoding="utf-8")


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        global CHECKOUT
        CHECKOUT = Path(sys.argv[2])
        make(sys.argv[3])
        return
    for name in sys.argv[1:] or FIXTURES:
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"HF_DATASETS_CACHE": str(Path(folder, "cache"))}
            one = [sys.executable, __file__, "--one", str(CHECKOUT), name]
            subprocess.run(one, cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    main()
