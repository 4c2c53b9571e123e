#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page of sponson-http in a real browser: what is hostile stays text, a cut connection resumes without a gap
or a second time, counters are drawn, and it works without a mouse, in the dark and on a phone.

admin_page.py SPONSOND SPONSON_HTTP SPONSON [SCREENSHOT]
"""
import json
import os
import subprocess
import sys

import browser
import gateway_stage

SKIPPED = 77
HOSTILE = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"
EVENTS = 40
BUTTONS = "[...document.querySelectorAll('#list button')]"


def rows(page, part):
    return page.run(f"[...document.querySelectorAll('#log .{part}')].map((e) => e.textContent)")


def choose(page, session):
    button = f"{BUTTONS}.find((b) => b.dataset.name === {json.dumps(session)})"
    page.wait(button + " !== undefined")
    page.run(button + ".click()")
    page.wait("document.getElementById('live').textContent === 'live'")


def hostile_text_is_text(page, stage):
    name = "evil/" + HOSTILE
    stage.publish(name, [{"id": HOSTILE, "type": HOSTILE, "data": HOSTILE}])
    page.run("document.getElementById('prefix').value = 'evil/'; document.getElementById('search').requestSubmit()")
    choose(page, name)
    page.wait("document.querySelectorAll('#log .data').length === 1")
    assert page.run("document.getElementById('title').textContent") == name
    for part in ("id", "type", "data"):
        assert rows(page, part) == [HOSTILE], part
    assert page.run("document.querySelectorAll('img, #log script').length") == 0
    assert page.run("window.hacked === undefined")
    # The policy keeps out what would get in nevertheless.
    page.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked=1\">')")
    page.wait_for_complaint()
    assert page.run("window.hacked === undefined")
    page.events.clear()


def a_name_that_no_path_has_is_not_asked_for(page, stage):
    done = subprocess.run([sys.argv[3], "publish", "odd/../live", "x"], capture_output=True,
                          timeout=60, env={**os.environ, "SPONSON_SOCKET_DIR": str(stage.path / "run")})
    assert done.returncode == 0, done.stderr
    page.run("document.getElementById('prefix').value = 'odd/'; document.getElementById('search').requestSubmit()")
    page.wait("[...document.querySelectorAll('#list button')].some((b) => b.dataset.name === 'odd/../live')")
    page.run("document.querySelector('#list button').click()")
    page.wait("document.querySelectorAll('#log .note.bad').length === 1")
    assert page.run("document.getElementById('live').textContent") == "ended"
    assert rows(page, "data") == []


def a_cut_connection_resumes(page, stage):
    stage.publish("live", [{"id": f"e{i}", "data": str(i)} for i in range(10)])
    page.run("document.getElementById('prefix').value = ''; document.getElementById('search').requestSubmit()")
    choose(page, "live")
    page.wait("document.querySelectorAll('#log .data').length === 10")
    page.run("document.getElementById('cut').click()")
    page.wait("document.getElementById('live').textContent === 'cut'")
    stage.publish("live", [{"id": f"e{i}", "data": str(i)} for i in range(10, 20)])
    page.wait("document.querySelectorAll('#log .data').length === 20")
    notes = page.run("[...document.querySelectorAll('#log .note')].map((e) => e.lastChild.textContent)")
    assert notes == ["You cut the connection", "Resumed after e9"], notes
    # Both processes die, too: nobody clicks.
    stage.processes["daemon"].kill()
    stage.processes["daemon"].wait()
    stage.start("daemon", stage.sponsond, "--data-dir", stage.path / "data", "--socket-dir", stage.path / "run")
    stage.publish("live", [{"id": f"e{i}", "data": str(i)} for i in range(20, EVENTS)])
    page.wait(f"document.querySelectorAll('#log .data').length === {EVENTS}")
    assert rows(page, "data") == [str(i) for i in range(EVENTS)]
    assert rows(page, "id") == [f"e{i}" for i in range(EVENTS)]
    counted = page.run("document.getElementById('counted').textContent")
    assert counted == f"{EVENTS} events \u00b7 0 gaps \u00b7 1 resume", counted


def it_works_without_a_mouse(page, stage):
    page.run("document.getElementById('prefix').value = ''; document.getElementById('search').requestSubmit()")
    page.wait("document.querySelectorAll('#list button').length === 2")
    page.run("document.getElementById('prefix').focus()")
    page.press("Tab")  # Find
    page.press("Tab")  # the first session
    first, second = page.run(BUTTONS + ".slice(0, 2).map((b) => b.dataset.name)")
    assert page.run("document.activeElement.dataset.name") == first
    page.press("ArrowDown")
    assert page.run("document.activeElement.dataset.name") == second
    page.press("Enter")
    page.wait(f"document.getElementById('title').textContent === {json.dumps(second)}")
    page.wait(f"document.querySelector('[aria-current=true]').dataset.name === {json.dumps(second)}")


def sessions_have_pages(page, stage):
    for i in range(60):
        stage.publish(f"many/{i:02}", [{"data": "x"}])
    page.run("document.getElementById('prefix').value = 'many/'; document.getElementById('search').requestSubmit()")
    page.wait("document.querySelectorAll('#list button').length === 50")
    page.wait("!document.getElementById('next').disabled")
    page.run("document.getElementById('next').click()")
    page.wait("document.querySelectorAll('#list button').length === 10")
    assert page.run("document.querySelector('#list button').dataset.name") == "many/50"
    page.run("document.getElementById('back').click()")
    page.wait("document.querySelectorAll('#list button').length === 50")


def counters_are_drawn(page, stage):
    page.wait("[...document.querySelectorAll('.tile polyline')]"
              ".every((e) => (e.getAttribute('points') || '').includes(' '))")
    assert page.run("document.querySelectorAll('.tile').length") == 6
    assert page.run("document.getElementById('health').textContent") == "the daemon answers"


def it_fits(page, stage):
    for width, height, mobile in ((390, 844, True), (820, 1180, True), (1360, 820, False)):
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=mobile)
        assert page.run("document.documentElement.scrollWidth <= innerWidth"), width
        lefts = page.run("[...document.querySelectorAll('.panel')].map((e) => e.offsetLeft)")
        assert (lefts[0] == lefts[1]) == (width < 760), (width, lefts)
        least = page.run("Math.min(...[...document.querySelectorAll('button')].map((b) => b.offsetHeight)"
                         ".filter((height) => height > 0))")
        assert least >= (44 if width < 760 else 36), (width, least)
    light = page.run("getComputedStyle(document.body).backgroundColor")
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert page.run("getComputedStyle(document.body).backgroundColor") != light


def main():
    if not browser.program():
        print("Chromium is not installed: the page was not tested")
        sys.exit(SKIPPED)
    stage = gateway_stage.Stage(sys.argv[1], sys.argv[2])
    page = browser.Browser()
    try:
        page.open(stage.url())
        page.wait("document.getElementById('tiles') !== null")
        assert page.run("location.pathname + location.search") == "/", "the token stays in the address"
        assert page.run("document.cookie") == ""
        for test in (a_cut_connection_resumes, hostile_text_is_text, it_works_without_a_mouse, sessions_have_pages,
                     a_name_that_no_path_has_is_not_asked_for, counters_are_drawn, it_fits):
            test(page, stage)
            assert page.complaints() == [], page.complaints()
            print("ok", test.__name__)
        if len(sys.argv) > 4:
            page.shoot(sys.argv[4])
    finally:
        page.close()
        stage.close()


main()
