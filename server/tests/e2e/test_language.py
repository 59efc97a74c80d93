"""The page in another language."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Site
from tests.e2e.hands import expect_hits, words

pytestmark = pytest.mark.e2e


def test_browsers_language_is_spoken_and_another_can_be_chosen(site: Site, browser: Browser, shoot: Callable[[Page, str], None]) -> None:
    with browser.new_context(viewport={"width": 1400, "height": 900}, locale="zh-CN") as context:
        page = context.new_page()
        page.goto(site.gui)
        html = page.locator("html")
        expect(html).to_have_attribute("lang", "zh-CN")
        expect(page).to_have_title("tsir：用手绘和文字找照片")
        described = page.get_by_role("textbox", name="描述图片")
        described.fill("a dog")
        expect(page.get_by_role("heading", name="最佳匹配")).to_be_visible()
        shoot(page, "chinese")
        page.get_by_role("button", name="English").click()
        expect(html).to_have_attribute("lang", "en")
        expect(words(page)).to_have_value("a dog")  # the question stays
        expect_hits(page)
        page.reload()
        expect(html).to_have_attribute("lang", "en")
        expect_hits(page)
        page.get_by_role("button", name="中文").click()
        expect(described).to_be_visible()


def test_refusal_of_the_server_is_told_in_chinese_with_its_details(site: Site, browser: Browser) -> None:
    with browser.new_context(locale="zh-CN") as context:
        page = context.new_page()
        page.route("**/imports", lambda route: route.fulfill(status=403, json={"code": "forbidden", "detail": "/etc: not in IMAGE_ROOTS"}))
        page.goto(site.gui)
        page.get_by_role("button", name="添加图片").click()
        page.get_by_role("button", name="导入文件夹").click()
        expect(page.get_by_role("alert")).to_have_text("服务器不允许这样做。（/etc: not in IMAGE_ROOTS）")
