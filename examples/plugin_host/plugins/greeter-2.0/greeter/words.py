from pathlib import Path


def words() -> list[str]:
    return Path(__file__).with_name("words.txt").read_text().split()
