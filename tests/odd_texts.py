"""Texts that a classifier may be asked: short, empty, long, with quotes, on two lines."""

TEXTS = [
    "股市 大涨",
    "a",
    "",
    "球队赢得 比赛 冠军 " * 9,
    "游戏 games",
    '"引号", 逗号',
    "第一行\n第二行",
    "涨 " * 3,
    "球 " * 4,
]
