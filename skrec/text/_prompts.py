"""Prompts for items and users of four domains, in the manner of GENRE (ONCE, arXiv 2305.06566)."""

from __future__ import annotations

PROMPTS: dict[str, dict[str, str]] = {
    "news": {
        "title": (
            "Rewrite the headline of this news article so that it tells what happened, to whom and "
            "where, in at most 20 words and without comment. Answer with the headline alone.\n\n"
            "Headline: {title}\nCategory: {category}\nAbstract: {abstract}"
        ),
        "summary": (
            "Summarize this news article in one sentence of plain words. Name the people, places "
            "and organizations. Answer with the sentence alone.\n\n"
            "Headline: {title}\nAbstract: {abstract}"
        ),
        "profile": (
            "A reader opened the news articles below, oldest first. Which topics and which regions "
            "interest this reader? Answer with two lines: 'Topics:' and up to five topics, then "
            "'Regions:' and up to three regions.\n\n{history}"
        ),
    },
    "films": {
        "summary": (
            "Describe this film in one sentence for a catalogue: what it is about, its mood, and "
            "who likes such films. Answer with the sentence alone.\n\n"
            "Film: {title}\nGenres: {genres}"
        ),
        "profile": (
            "A person watched the films below, oldest first. Which genres, themes and periods does "
            "this person like? Answer with one line: 'Likes:' and up to six of them.\n\n{history}"
        ),
    },
    "books": {
        "summary": (
            "Describe this book in one sentence for a library: its subject, its style, and its "
            "readers. Answer with the sentence alone.\n\n"
            "Book: {title}\nAuthor: {author}\nDescription: {description}"
        ),
        "profile": (
            "A person read the books below, oldest first. Which subjects, genres and styles does "
            "this person like? Answer with one line: 'Likes:' and up to six of them.\n\n{history}"
        ),
    },
    "products": {
        "summary": (
            "Describe this product in one sentence for a shop: what it is, what it is used for, "
            "and who buys it. Leave out prices and advertising. Answer with the sentence alone.\n\n"
            "Product: {title}\nBrand: {brand}\nCategory: {category}"
        ),
        "profile": (
            "A customer bought the products below, oldest first. What does this customer need, and "
            "which kinds and brands of products fit? Answer with two lines: 'Needs:' and up to "
            "five needs, then 'Brands:' and up to three brands.\n\n{history}"
        ),
    },
}
