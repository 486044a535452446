"""Write the vocabulary of the shipped toon-sv: python scripts/toon_vocabulary.py.

The model was trained before vocabularies were saved with a sentence encoder. Its training sentences, those of
`storygan data render-toon --train 10000 --seed 0`, are written again from src/storygan/data/toon/templates.json,
without pictures.
"""

from tqdm import tqdm

from storygan.data.toon.render import story_sentences
from storygan.models.storygan import SHIPPED
from storygan.text.encoder import VOCABULARY_FILE, save_vocabulary
from storygan.text.vocabulary import vocabulary_of

STORIES = 10_000


def main() -> None:
    stories = (story_sentences("train", number) for number in tqdm(range(STORIES), disable=None))
    vocabulary = vocabulary_of(sentence for story in stories for sentence in story)
    save_vocabulary(SHIPPED / "toon-sv", vocabulary)
    print(f"{SHIPPED / 'toon-sv' / VOCABULARY_FILE}: {len(vocabulary)} words")


if __name__ == "__main__":
    main()
