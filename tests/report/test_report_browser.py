"""The report's page in a real browser: nothing fails, nothing leaves the page, players play, tables sort and copy."""

from __future__ import annotations

import csv
import io
import re
import shutil
from contextlib import contextmanager
from itertools import product

import mosei_miniature
import pytest

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
# Without these a browser asks its maker's servers for news while it starts.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"]
HOSTILE = ('<img src="https://example.org/x.png" onerror="window.broken = 1">'
           '"\'</script><script>window.broken = 1</script>')


@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium, or skip: `make browser` installs one."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no browser is there; `make browser` installs Debian's Chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield started
        started.close()


@pytest.fixture(scope="module")
def reports(once, demo_road, emoprep):
    """Return a folder with the demo's pages: of annotation alone, of shards, of a pair."""
    def make(folder):
        folder.mkdir()
        shards, features = demo_road / "shards", demo_road / "features"
        for name, arguments in {
            "annotation": [demo_road / "MELD.Raw"], "shards": [shards, "--audit", "all"],
            "pair": [features, "--compare", demo_road / "smote", "--shards", shards, "--map", "tsne"],
        }.items():
            emoprep("report", *arguments, "-o", folder / f"{name}.html", check=True)
    return once("report-pages", make)


@contextmanager
def opened(browser, path, viewport=DESK, **settings):
    """Give the page, open; at the end nothing may have failed, and nothing have been asked for but the file itself."""
    context = browser.new_context(viewport=viewport, **settings)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    try:
        yield page
        assert said == []
        assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    finally:
        context.close()


def copied(page, button) -> str:
    """Click a button that copies, and return what a reader would paste."""
    button.click()
    button.page.wait_for_function("button => button.textContent === 'Copied'", arg=button.element_handle())
    return page.evaluate("navigator.clipboard.readText()")


# ------------------------------------------------------------------------------------------- it is there

@pytest.mark.parametrize("name, sections, charts", [
    ("annotation", ["skew", "transitions", "speakers", "durations", "together", "audit"], 6),
    ("shards", ["skew", "transitions", "speakers", "durations", "together", "audit", "wall"], 6),
    ("pair", ["skew", "transitions", "speakers", "durations", "together", "balancing", "map", "audit", "wall"], 8),
])
def test_sections_and_charts_are_there(browser, reports, name, sections, charts):
    with opened(browser, reports / f"{name}.html") as page:
        there = page.evaluate("[...document.querySelectorAll('main > section')].map(section => section.id)")
        assert [section for section in there if section in sections] == sections
        drawn = page.evaluate("""[...document.querySelectorAll('figure svg')].map(svg => {
            const box = svg.getBoundingClientRect(); return [box.width, box.height, svg.getBBox().width]; })""")
        shown = [sizes for sizes in drawn if min(sizes) > 0]  # those of folded figures have no size
        assert len(shown) >= charts
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
        assert len(ids) == len(set(ids))
        # Every entry of the navigation leads to a section that is there.
        for target in page.evaluate("[...document.querySelectorAll('nav li a')].map(link => link.hash)"):
            assert page.locator(target).count() == 1


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_follows_the_system(browser, reports, viewport, scheme):
    with opened(browser, reports / "pair.html", viewport, color_scheme=scheme) as page:
        page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        paper, ink = (luminance(page.evaluate(f"getComputedStyle(document.body).{of}"))
                      for of in ("backgroundColor", "color"))
        assert (paper < 0.1 and ink > 0.5) if scheme == "dark" else (paper > 0.8 and ink < 0.1)
        page.click("#theme")
        other = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert other > 0.8 if scheme == "dark" else other < 0.1


def luminance(colour: str) -> float:
    """Return the relative luminance of "rgb(r, g, b)", 0 to 1 (WCAG 2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_it_prints_without_what_only_a_screen_has(browser, reports):
    with opened(browser, reports / "pair.html") as page:
        page.emulate_media(media="print", color_scheme="dark")
        # The heads of tables and the legend of the map are buttons too, and stay what they say.
        assert page.locator("button:not(th button, .toggles button):visible, nav:visible").count() == 0
        assert luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) > 0.8
        sheets = re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))
        assert len(sheets) >= 3


# ------------------------------------------------------------------------------------------- and it works

def test_players_play(browser, reports):
    with opened(browser, reports / "shards.html") as page:
        players = page.locator("audio").all()
        assert len(players) >= 25
        for player in (players[0], players[len(players) // 2], players[-1]):
            told = player.evaluate("""async (player) => {
                await player.play();
                await new Promise((done) => player.addEventListener(
                    "timeupdate", () => player.currentTime > 0.1 && done()));
                player.pause();
                return [player.currentTime, player.duration, player.error];
            }""")
            assert told[0] > 0.1 and 0.5 < told[1] < 16 and told[2] is None
        pictures = page.evaluate(
            "[...document.querySelectorAll('.sample img')].map(one => [one.naturalWidth, one.alt])")
        assert len(pictures) >= 25 and all(width > 0 and "picture" in text for width, text in pictures)


def test_tables_sort_by_number_and_copy_as_csv(browser, reports):
    with opened(browser, reports / "pair.html", permissions=["clipboard-read", "clipboard-write"]) as page:
        table = page.locator("#balancing table").first
        head = table.locator("thead th").nth(1)

        def before():
            return [float(cell) for cell in table.locator("tbody tr > :nth-child(2)").all_inner_texts()]
        assert before() == [28, 7, 2, 4, 10, 3, 6]
        head.locator("button").click()
        assert before() == [28, 10, 7, 6, 4, 3, 2] and head.get_attribute("aria-sort") == "descending"
        head.locator("button").click()
        assert before() == [2, 3, 4, 6, 7, 10, 28] and head.get_attribute("aria-sort") == "ascending"
        pasted = list(csv.reader(io.StringIO(copied(page, page.locator("#balancing button.csv").first))))
        assert pasted[0][:4] == ["class", "before", "requested", "after"] and pasted[1][:4] == ["fear", "2", "28", "28"]
        assert len(pasted) == 8
        # Every table has its button.
        assert page.locator("table").count() == page.locator("button.csv").count() > 10


def test_the_map_tells_parents_and_hides_classes(browser, reports, demo_road):
    from pyarrow import parquet

    plan = parquet.read_table(demo_road / "smote" / "plan.parquet").to_pylist()
    parents = {row["key"]: {row["base"], row["neighbor"]} for row in plan if row["op"] == "interpolate"}
    with opened(browser, reports / "pair.html", permissions=["clipboard-read", "clipboard-write"]) as page:
        points = list(csv.DictReader(io.StringIO(copied(page, page.locator("#copy-points")))))
        assert {row["key"]: set(row["parents"].split()) for row in points if row["made"] == "1"} == parents
        assert len(points) - len(parents) == 60
        stage = page.locator("#map .stage svg")
        box = stage.bounding_box()
        told = set()
        for row, column in product(range(20), range(20)):  # over the whole drawing
            page.mouse.move(box["x"] + box["width"] * (column + 0.5) / 20, box["y"] + box["height"] * (row + 0.5) / 20)
            tip = page.locator("#map .tip")
            if tip.is_visible():
                told.add(tip.inner_text())
        made = [text for text in told if ", made" in text]
        assert made and any(", real" in text for text in told)
        for text in made:
            key, _, *lines = text.splitlines()
            assert {line.split()[1] for line in lines} == parents[key]
        toggle, group = page.locator("#map .toggles button").nth(2), page.locator("#map g[data-class='2']")
        assert "fear" in toggle.inner_text() and group.is_visible()
        toggle.click()
        assert not group.is_visible() and toggle.get_attribute("aria-pressed") == "false"


# --------------------------------------------------------------------------------------- other corpora

def test_several_labels(browser, tmp_path, emoprep):
    """CMU-MOSEI's: labels together, and no speakers."""
    corpus = mosei_miniature.build_miniature(tmp_path, media=False).folder
    emoprep("report", corpus, "-o", tmp_path / "page.html", check=True)
    with opened(browser, tmp_path / "page.html", PHONE) as page:
        assert page.locator("#skew svg").count() and page.locator("#together svg").count()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_texts_of_a_corpus_stay_texts(browser, tmp_path, emoprep):
    """Markup in texts, names, classes and the folder's name is shown and never run, and nothing is fetched for it."""
    folder = tmp_path / "<b>clips & more"
    folder.mkdir()
    with (folder / "clips.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "text", "speaker", "emotion", "dialogue", "split"])
        for number in range(24):
            rows.writerow([f"{number}.wav", HOSTILE, f"{HOSTILE}{number % 2}", "joy" if number % 3 else "=1+1",
                           f"d{number // 6}", "train" if number < 18 else "test"])
    scheme = tmp_path / "scheme.toml"
    scheme.write_text('name = "own"\nlabels = ["joy", "=1+1"]\ncolumn = "emotion"\n'
                      '[mapping]\njoy = "joy"\n"=1+1" = "=1+1"\n')
    done = emoprep("report", folder / "clips.csv", "--labels", scheme, "-o", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    with opened(browser, tmp_path / "page.html", permissions=["clipboard-read", "clipboard-write"]) as page:
        page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
        assert page.evaluate("window.broken") is None
        assert HOSTILE[:40] in page.inner_text("main")
        pasted = copied(page, page.locator("#skew button.csv:visible").first)
        assert "=1+1" in pasted and not re.search(r"(^|,)=1", pasted, re.M)
