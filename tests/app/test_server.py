"""The way from the link to thanks over HTTP, what is refused on it, and what no response says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from evalkit.app.server import create_app
from evalkit.rating.desk import Desk, NotStoredError
from evalkit.runs import Run
from tests.app.conftest import ADMIN, CLIP_S, SCORES, Clock, Rater

POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src data:",
    "media-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
}


# --- the way ---------------------------------------------------------------------------------------------------------


def test_scores_from_the_link_to_thanks(rater: Rater) -> None:
    page = rater.begin()
    n_shown = 0
    while "Thank you!" not in page:
        n_shown += 1
        assert f"<h1>{n_shown} of 8</h1>" in page
        assert ("Practice" in page) == (n_shown <= 2)
        page = rater.client.post("/answer", data={"presentation": rater.watch(page), **SCORES}).text
    assert n_shown == 8  # 2 for practice, 4, 1 repeat, 1 check
    exported = rater.desk.export_rater(rater.id)
    assert [one["answer"] for one in exported["presentations"]] == [
        {question: int(score) for question, score in SCORES.items()}
    ] * 8


@pytest.mark.parametrize("kind", ["one", "step"])
def test_pairs_from_the_link_to_thanks(kind: str, open_desk: Callable[[str], Desk], clock: Clock) -> None:
    rater = Rater(open_desk(kind), clock)
    page = rater.begin()
    given = []
    while "Thank you!" not in page:
        assert f'data-mode="{kind}"' in page
        given.append(("first", "second", "none")[len(given) % 3])
        page = rater.client.post(
            "/answer", data={"presentation": rater.watch(page), "preferred": given[-1]}
        ).text
    assert [one["answer"] for one in rater.desk.export_rater(rater.id)["presentations"]] == given
    assert len(given) > 3


def test_a_rater_stops_and_comes_back(rater: Rater) -> None:
    page = rater.begin()
    rater.client.post("/answer", data={"presentation": rater.watch(page), **SCORES})
    assert "<h1>2 of 8</h1>" in rater.client.get("/rate").text
    assert (
        "<h1>2 of 8</h1>" in rater.client.get(f"/r/{rater.token}").text
    )  # the link leads on, in this browser


def test_the_server_hears_who_begins_and_answers(open_desk: Callable[[str], Desk], clock: Clock) -> None:
    heard: list[Any] = []
    rater = Rater(open_desk("acr"), clock, on_event=heard.append)
    page = rater.begin()
    rater.client.post("/answer", data={"presentation": rater.watch(page), **SCORES})
    assert [(one.rater, one.n_done, one.n_total) for one in heard] == [(rater.id, 0, 8), (rater.id, 1, 8)]


def test_the_language_is_the_browsers_until_one_is_chosen(rater: Rater) -> None:
    rater.client.get(f"/r/{rater.token}")
    chinese = rater.client.get("/rate", headers={"accept-language": "zh-TW,zh;q=0.9,en;q=0.5"}).text
    assert '<html lang="zh-CN">' in chinese
    assert "这些视频质量如何？" in chinese
    assert '<html lang="en">' in rater.client.get("/rate?language=en").text
    rater.client.post("/start", data={"language": "zh-CN"})
    page = rater.client.get("/rate", headers={"accept-language": "en"}).text
    assert "<h1>第 1 题，共 8 题</h1>" in page
    refused = rater.client.post(
        "/answer", data={"presentation": "x", **SCORES}, headers={"accept-language": "en"}
    )
    assert "这一题已经不在作答中" in refused.text


def test_the_minutes_are_those_of_the_study(rater: Rater) -> None:
    page = rater.client.get(f"/r/{rater.token}").text
    # a minute to read, 8 presentations of 0.4 s and 4 questions of 3 s: 159.2 s
    assert "about 3 minutes" in page
    assert "8 short videos" in page


# --- links and cookies -----------------------------------------------------------------------------------------------


def test_a_link_gives_a_cookie_that_scripts_and_other_sites_do_not_get(rater: Rater) -> None:
    response = rater.client.get(f"/r/{rater.token}", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (303, "/rate")
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie


def test_behind_tls_the_cookie_never_travels_in_the_open(
    open_desk: Callable[[str], Desk], clock: Clock
) -> None:
    rater = Rater(open_desk("acr"), clock, is_secure=True)
    response = rater.client.get(f"/r/{rater.token}", follow_redirects=False)
    assert "; secure" in response.headers["set-cookie"].lower()


def test_a_link_opens_for_one_browser(rater: Rater) -> None:
    rater.begin()
    other = TestClient(rater.client.app, base_url="http://localhost:8765")
    response = other.get(f"/r/{rater.token}")
    assert response.status_code == 403
    assert "opened before, in another browser" in response.text
    assert "set-cookie" not in response.headers


def test_a_forged_link_opens_nothing(rater: Rater) -> None:
    response = rater.client.get(f"/r/{rater.token[:-1]}x")
    assert response.status_code == 404
    assert "not known" in response.text
    assert rater.client.get("/rate").status_code == 401
    assert rater.client.get("/r/..%2f..%2fetc").status_code == 404


def test_looking_at_a_link_uses_nothing_up(rater: Rater) -> None:
    assert rater.client.head(f"/r/{rater.token}").status_code == 405
    TestClient(rater.client.app, base_url="http://localhost").get(f"/r/{rater.token}")  # a preview
    assert "<h1>1 of 8</h1>" in rater.begin()


@pytest.mark.parametrize("cookie", ["", "x", "00" * 16, "' OR 1=1 --", "x" * 3000])
def test_a_cookie_that_was_not_given_is_nobody(rater: Rater, cookie: str) -> None:
    rater.begin()
    [name] = [one.name for one in rater.client.cookies.jar]
    stranger = TestClient(rater.client.app, base_url="http://localhost", cookies={name: cookie})
    assert stranger.get("/rate").status_code == 401


def test_from_another_site_the_page_asks_once_more_as_itself(rater: Rater) -> None:
    """A browser sends no strict cookie when a link on another site was followed, not even after our redirect."""
    rater.begin()
    elsewhere = TestClient(rater.client.app, base_url="http://localhost")
    first = elsewhere.get("/rate", headers={"sec-fetch-site": "cross-site"})
    assert '<meta http-equiv="refresh" content="0; url=/rate?again=1">' in first.text
    again = elsewhere.get("/rate?again=1", headers={"sec-fetch-site": "cross-site"})
    assert "http-equiv" not in again.text
    assert "http-equiv" not in elsewhere.get("/rate", headers={"sec-fetch-site": "none"}).text
    used = elsewhere.get(f"/r/{rater.token}", headers={"sec-fetch-site": "cross-site"})
    assert f"url=/r/{rater.token}?again=1" in used.text


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "score", ["6", "0", "-1", "3.5", "", " 4", "4 ", "٤", "\uff15", "5; drop table answers", "on"]
)
def test_a_score_is_one_to_five(rater: Rater, score: str) -> None:
    nonce = rater.watch(rater.begin())
    response = rater.client.post("/answer", data={"presentation": nonce, **SCORES, "motion": score})
    assert response.status_code == 422
    assert "not one of those that can be chosen" in response.text
    assert "<h1>1 of 8</h1>" in rater.client.get("/rate").text


@pytest.mark.parametrize(
    "form",
    [
        {},
        {key: value for key, value in SCORES.items() if key != "motion"},
        {**SCORES, "rater": "r02"},
        {"preferred": "first"},
        {**SCORES, "preferred": "first"},
    ],
    ids=["nothing", "one is missing", "one too many", "of another kind", "of both kinds"],
)
def test_exactly_what_was_asked_is_answered(rater: Rater, form: dict[str, str]) -> None:
    nonce = rater.watch(rater.begin())
    assert rater.client.post("/answer", data={"presentation": nonce, **form}).status_code == 422


@pytest.mark.parametrize("presentation", [{}, {"presentation": "x' OR '1'='1"}], ids=["none", "forged"])
def test_a_presentation_that_was_not_shown_is_not_answered(
    rater: Rater, presentation: dict[str, str]
) -> None:
    rater.watch(rater.begin())
    assert rater.client.post("/answer", data={**presentation, **SCORES}).status_code == 409
    assert {one["answer"] for one in rater.desk.export_rater(rater.id)["presentations"]} == {None}


def test_a_field_that_comes_twice_is_no_answer(rater: Rater) -> None:
    nonce = rater.watch(rater.begin())
    body = "&".join(
        [f"presentation={nonce}", *(f"{name}={score}" for name, score in SCORES.items()), "motion=1"]
    )
    assert rater.client.post("/answer", content=body).status_code == 400


def test_an_answer_that_comes_before_the_clip_can_have_ended_is_refused(rater: Rater) -> None:
    page = rater.begin()
    nonce = rater.watch(page)
    rater.clock.now -= 2 * CLIP_S + 0.1 + 0.01  # just after it was asked for
    response = rater.client.post("/answer", data={"presentation": nonce, **SCORES})
    assert response.status_code == 409
    assert "came before the video" in response.text
    rater.clock.now += CLIP_S
    assert rater.client.post("/answer", data={"presentation": nonce, **SCORES}).status_code == 200


def test_an_answer_without_watching_is_refused(rater: Rater) -> None:
    page = rater.begin()
    nonce = re.findall('name="presentation" value="([^"]+)"', page)[0]
    rater.clock.now += 60
    assert rater.client.post("/answer", data={"presentation": nonce, **SCORES}).status_code == 409


def test_the_same_answer_twice_is_stored_once_and_another_one_not(rater: Rater) -> None:
    nonce = rater.watch(rater.begin())
    form = {"presentation": nonce, **SCORES}
    assert rater.client.post("/answer", data=form, follow_redirects=False).status_code == 303
    assert rater.client.post("/answer", data=form, follow_redirects=False).status_code == 303
    other = rater.client.post("/answer", data={**form, "motion": "5"})
    assert other.status_code == 409
    assert "the first answer stays" in other.text
    assert [one["answer"] for one in rater.desk.export_rater(rater.id)["presentations"]].count(None) == 7


def test_a_rater_answers_for_nobody_else(rater: Rater) -> None:
    nonce = rater.watch(rater.begin())
    other = Rater(rater.desk, rater.clock)
    other.begin()
    assert other.client.post("/answer", data={"presentation": nonce, **SCORES}).status_code == 409


def test_what_cannot_be_stored_is_said_and_not_acknowledged(
    rater: Rater, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonce = rater.watch(rater.begin())

    def full(*_: object) -> None:
        raise NotStoredError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(rater.desk, "answer", full)
        response = rater.client.post("/answer", data={"presentation": nonce, **SCORES})
    assert response.status_code == 507
    assert "could not be stored" in response.text
    assert rater.client.post("/answer", data={"presentation": nonce, **SCORES}).status_code == 200


def test_what_breaks_is_a_kind_page_without_its_reason(rater: Rater, monkeypatch: pytest.MonkeyPatch) -> None:
    rater.begin()
    client = TestClient(rater.client.app, base_url="http://localhost", raise_server_exceptions=False)
    client.cookies = rater.client.cookies
    monkeypatch.setattr(rater.desk, "current", lambda _: 1 / 0)
    response = client.get("/rate")
    assert response.status_code == 500
    assert "Your answers up to now are safe" in response.text
    assert "ZeroDivision" not in response.text
    assert response.headers["referrer-policy"] == "no-referrer"


# --- clips -----------------------------------------------------------------------------------------------------------


def clip_of(rater: Rater) -> str:
    return str(re.findall('src="(/clip/[^"]+)"', rater.begin())[0])


def test_a_part_of_a_clip_is_sent(rater: Rater) -> None:
    address = clip_of(rater)
    whole = rater.client.get(address)
    part = rater.client.get(address, headers={"range": "bytes=100-299"})
    assert (whole.status_code, part.status_code) == (200, 206)
    assert part.content == whole.content[100:300]
    assert part.headers["content-range"] == f"bytes 100-299/{len(whole.content)}"
    assert rater.client.get(address, headers={"range": f"bytes={len(whole.content)}-"}).status_code == 416
    stale = rater.client.get(address, headers={"range": "bytes=0-9", "if-range": '"x"'})
    assert (stale.status_code, stale.content) == (200, whole.content)


def test_a_clip_is_the_raters_own(rater: Rater) -> None:
    address = clip_of(rater)
    other = Rater(rater.desk, rater.clock)
    assert other.client.get(address).status_code == 401
    other.begin()
    assert other.client.get(address).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/clip/../../run.json",
        "/clip/..%2f..%2frun.json",
        "/clip/%2e%2e%2fratings.sqlite",
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/ratings.sqlite",
        "/run.json",
    ],
)
def test_no_path_leads_to_a_file(rater: Rater, path: str) -> None:
    rater.begin()
    assert rater.client.get(path).status_code == 404


def test_a_clip_that_is_gone_is_not_found(rater: Rater) -> None:
    address = clip_of(rater)
    for clip in (rater.desk.run_folder / "ratings" / "clips").glob("*.mp4"):
        clip.unlink()
    assert rater.client.get(address).status_code == 404


# --- what is not said ------------------------------------------------------------------------------------------------


def test_no_response_names_what_is_shown(rater: Rater) -> None:
    run = Run.open(rater.desk.run_folder)
    names = {word for trial in run.trials() for word in (trial.id, trial.portrait.name, trial.speech.name)}
    names |= {
        "384*256",
        "sample_steps",
        "video.mp4",
        "made up",
        str(run.folder),
        "uvicorn",
        "starlette",
        "Lavf",
    }
    page = rater.begin()
    seen = []
    while "Thank you!" not in page:
        responses = [rater.client.get(address) for address in re.findall('(?:src|href)="(/[^"]+)"', page)]
        seen += [response.content + str(response.headers).encode() for response in responses]
        seen.append(page.encode())
        page = rater.client.post("/answer", data={"presentation": rater.watch(page), **SCORES}).text
    assert len(seen) == 8 * 4  # page, style, script and clip
    everything = b"\n".join(seen)
    assert [name for name in names if name.encode() in everything] == []


def test_a_repeat_has_other_addresses(rater: Rater) -> None:
    page = rater.begin()
    addresses, contents = [], []
    while "Thank you!" not in page:
        addresses += re.findall('src="(/clip/[^"]+)"', page)
        contents.append(rater.client.get(addresses[-1]).content)
        page = rater.client.post("/answer", data={"presentation": rater.watch(page), **SCORES}).text
    assert len(set(addresses)) == 8
    assert len(set(contents)) < 8  # one at least was a repeat


@pytest.mark.parametrize(
    "path", ["/", "/rate", "/clip/{clip}", "/r/x", "/a/x", "/results", "/static/x", "/nowhere"]
)
def test_every_response_is_safe_to_show(rater: Rater, path: str) -> None:
    address = clip_of(rater)
    response = rater.client.get(path.replace("/clip/{clip}", address), follow_redirects=False)
    headers = response.headers
    assert set(headers["content-security-policy"].split("; ")) == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "private, no-store"
    assert not {"last-modified", "etag", "server", "content-disposition"} & set(headers)


def test_style_and_script_are_kept_and_renamed_when_they_change(rater: Rater) -> None:
    page = rater.begin()
    [script] = re.findall('src="(/static/[^"]+)"', page)
    response = rater.client.get(script)
    assert "immutable" in response.headers["cache-control"]
    assert response.headers["content-type"].startswith("text/javascript")
    assert "<script>" not in page
    assert " style=" not in page


# --- for whoever asks ------------------------------------------------------------------------------------------------


def test_results_are_the_admins_alone(rater: Rater) -> None:
    rater.begin()
    assert rater.client.get("/results").status_code == 401
    assert rater.client.get("/a/guess").status_code == 404
    admin = TestClient(rater.client.app, base_url="http://localhost")
    page = admin.get(f"/a/{ADMIN}")
    assert page.url.path == "/results"
    assert rater.desk.studies()[0].commitment in page.text
    assert admin.get("/rate").status_code == 401


def test_results_say_how_far_everybody_is(rater: Rater) -> None:
    page = rater.begin()
    while "Thank you!" not in page:
        page = rater.client.post("/answer", data={"presentation": rater.watch(page), **SCORES}).text
    Rater(rater.desk, rater.clock).begin()
    admin = TestClient(rater.client.app, base_url="http://localhost")
    text = " ".join(re.sub("<[^>]+>", " ", admin.get(f"/a/{ADMIN}").text).split())
    assert "1 of 2 raters finished; 8 answers stored" in text
    # four videos, each rated once; practice, repeat and check are none. The rater liked the broken clip: screened out.
    assert "Ratings by video, before anybody is screened out: 4 videos with 1." in text
    assert f"{rater.id} 8 8 en person" in text


def test_the_admin_reads_what_was_said(rater: Rater) -> None:
    page = rater.begin()
    admin = TestClient(rater.client.app, base_url="http://localhost")
    admin.get(f"/a/{ADMIN}")
    before = admin.get("/results/opinions")
    while "Thank you!" not in page:
        scores = {**SCORES, "overall": "1"} if "Practice" in page else SCORES
        page = rater.client.post("/answer", data={"presentation": rater.watch(page), **scores}).text
    after = admin.get("/results/opinions")
    assert "Nobody has rated this run yet" in before.text
    assert "1 of 1 rater finished" in after.text
    rater.desk.forget(rater.id)
    assert "Nobody has rated this run yet" in admin.get("/results/opinions").text
    assert "script-src" not in after.headers["content-security-policy"]
    assert rater.client.get("/results/opinions").status_code == 401


def test_what_was_forgotten_is_not_shown_though_others_answered_as_much(rater: Rater) -> None:
    admin = TestClient(rater.client.app, base_url="http://localhost")
    admin.get(f"/a/{ADMIN}")
    for one, score in ((rater, "1"), (Rater(rater.desk, rater.clock), "5")):
        page = one.begin()
        while "Thank you!" not in page:
            data = {"presentation": one.watch(page), **SCORES, "overall": score}
            page = one.client.post("/answer", data=data).text
        shown = admin.get("/results/opinions").text
        rater.desk.forget(one.id)
        if one is rater:
            first = shown
    assert shown != first


def test_two_runs_have_cookies_of_their_own_though_ratings_were_imported_before(
    open_desk: Callable[[str], Desk],
) -> None:
    """Cookies know no ports: two servers of one machine get each other's."""
    names = set()
    for kind in ("acr", "one"):
        desk = open_desk(kind)
        with desk._database.writing() as db:
            db.execute("PRAGMA defer_foreign_keys = ON")
            db.execute("UPDATE studies SET number = 2")
            db.execute("UPDATE items SET study = 2")
            db.execute(
                "INSERT INTO studies VALUES (1, 'acr', '[\"overall\"]', '2026-01-01T00:00:00+00:00', '', '', 'a table', '')"
            )
        client = TestClient(create_app(desk, admin_token=ADMIN), base_url="http://localhost")
        client.get(f"/r/{desk.invite(2, 1)[0].token}")
        names |= {cookie.name for cookie in client.cookies.jar}
    assert len(names) == 2


def test_an_app_is_made_of_a_folder_too(runs: dict[str, Path]) -> None:
    client = TestClient(create_app(runs["acr"], admin_token=ADMIN), base_url="http://127.0.0.1:1")
    assert client.get(f"/a/{ADMIN}").status_code == 200
