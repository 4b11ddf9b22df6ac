import datasets

from hfcls.training.fingerprint import fingerprint


def test_fingerprint_is_of_the_content():
    rows = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, 1]})
    again = datasets.concatenate_datasets([rows.select([0]), rows.select([1, 2])])
    assert fingerprint(rows) == fingerprint(again) == fingerprint(rows.select([0, 1, 2]))
    assert fingerprint(rows) != fingerprint(rows.select([0, 2, 1]))
    assert fingerprint(rows) != fingerprint(rows.select([0, 1]))
