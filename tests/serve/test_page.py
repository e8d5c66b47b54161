"""The page, in a browser that is really there."""

from typing import Any, Callable, Iterator, List

import pytest

from .conftest import TEXT

pytestmark = pytest.mark.browser

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"


class Shown:
    """A page, with what went wrong in it and what it asked the network for."""

    def __init__(self, browser: Any, port: int, **settings: Any) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.page = browser.new_page(**settings)
        self.page.set_default_timeout(60_000)
        self.problems: List[str] = []
        self.requests: List[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: self.problems.append(dialog.message))
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(self.address)
        self.wait("no entities")  # in the text that it begins with

    def wait(self, said: str) -> None:
        self.page.wait_for_selector(f"#said:has-text({said!r})")

    def ask(self, text: str, said: str = "between") -> None:
        self.page.fill("#text", text)
        with self.page.expect_response("**/relations"):
            self.page.click("#run")
        self.wait(said)

    def rows(self) -> List[str]:
        return [" ".join(row.split()) for row in self.page.locator("#found tbody tr").all_inner_texts()]


@pytest.fixture
def show(browser: Any, running: Callable[..., Any]) -> Iterator[Callable[..., Shown]]:
    with running() as port:
        pages: List[Shown] = []

        def call(**settings: Any) -> Shown:
            pages.append(Shown(browser, port, **settings))
            return pages[-1]

        yield call
        for shown in pages:
            assert all(url.startswith((shown.address, "data:")) for url in shown.requests)
            shown.page.close()


def test_it_shows_what_is_found_and_follows_what_is_edited(show: Callable[..., Shown]) -> None:
    shown = show()
    page = shown.page
    shown.ask(TEXT)
    assert any(row.startswith("Acme ORG founded_by Ann PERSON") for row in shown.rows())
    assert page.locator("#view svg.arcs").count() == 1
    # By the keyboard alone.
    page.focus("#view-arcs")
    page.keyboard.press("ArrowRight")
    assert page.locator("#view svg.graph").count() == 1 and page.evaluate("document.activeElement.id") == "view-graph"
    page.keyboard.press("ArrowRight")
    assert page.locator("#view mark").all_inner_texts() == ["Acme ORG", "Ann PERSON"]
    # One label in place of two, for this request alone.
    page.click("#labels li:first-child .drop")
    assert page.evaluate("document.activeElement.value") == "near"
    page.locator("#labels input").first.fill("left")
    with page.expect_response("**/relations"):
        page.keyboard.press("Enter")
    page.wait_for_selector("td.label:has-text('left')")
    assert set(page.locator("td.label").all_inner_texts()) == {"left"}
    page.click("#reset")
    page.wait_for_selector("td.label:has-text('founded_by')")
    assert page.is_hidden("#reset")
    # A least score that nothing reaches, and back.
    assert page.is_disabled("#usual")
    with page.expect_request("**/relations") as request:
        page.fill("#least", "0.95")
    assert page.inner_text("#value") == "0.95" and request.value.post_data_json["threshold"] == 0.95
    with page.expect_request("**/relations") as request:
        page.click("#usual")
    assert "threshold" not in request.value.post_data_json
    page.wait_for_selector("#value:has-text('0.50')")
    shown.wait("relations between")
    assert shown.problems == []


def test_what_is_typed_stays_text(show: Callable[..., Shown]) -> None:
    shown = show()
    page = shown.page
    shown.ask(f"{EVIL} Acme & \U0001f600 Ann <b>x</b>")
    page.click("#view-entities")
    assert page.locator("#view mark").all_inner_texts() == ["Acme ORG", "Ann PERSON"], "offsets count characters"
    page.fill("#least", "0")  # whatever is likeliest
    page.click("#add")
    page.keyboard.type(EVIL)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("td.label:has-text('onerror')")
    for view in ("arcs", "graph"):
        page.click(f"#view-{view}")
        assert "onerror" in page.locator("#view svg").first.text_content()
    assert page.locator("img, #view script, #found script, b").count() == 0
    assert shown.problems == []


def test_it_says_in_words_what_is_wrong(show: Callable[..., Shown]) -> None:
    shown = show()
    page = shown.page
    shown.ask("", "There is no text")
    shown.ask("Nobody is here.", "no entities")
    page.fill("#text", "This has to fail.")
    page.click("#run")
    page.wait_for_selector("#wrong:has-text('[R999]')")
    page.fill("#text", TEXT)
    page.locator("#labels input").first.fill("near")
    page.click("#run")
    page.wait_for_selector("#wrong:has-text('Two labels have the name')")
    page.click("#reset")
    shown.wait("between")
    assert page.is_hidden("#wrong")
    page.route("**/relations", lambda route: route.abort())
    page.click("#run")
    page.wait_for_selector("#wrong:has-text('does not answer')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_narrow_screen(show: Callable[..., Shown], scheme: str) -> None:
    shown = show(viewport={"width": 360, "height": 700}, color_scheme=scheme)
    shown.ask(f"{TEXT} Bob saw Rome. {'verylongword' * 9} Ann met Bob.")
    assert shown.page.evaluate("document.documentElement.scrollWidth") == 360
    boxes = [shown.page.locator(f".{part}").first.bounding_box() for part in ("ask", "found", "labels")]
    assert boxes[0]["y"] < boxes[1]["y"] < boxes[2]["y"]
    ground = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(244, 246, 248)" if scheme == "light" else "rgb(13, 16, 20)")
    assert shown.problems == []


def test_the_policy_lets_nothing_else_run(show: Callable[..., Shown]) -> None:
    shown = show()
    shown.page.evaluate(
        """() => {
            const script = document.createElement('script');
            script.textContent = 'window.ran = true';
            document.body.append(script);
        }"""
    )
    assert shown.page.evaluate("window.ran") is None
    assert any("Content Security Policy" in problem for problem in shown.problems)
