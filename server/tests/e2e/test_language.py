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


def test_whole_way_through_the_page_in_chinese_by_touch(site: Site, browser: Browser) -> None:
    with browser.new_context(viewport={"width": 820, "height": 1180}, locale="zh-CN", has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        page.goto(site.gui)
        best = page.get_by_role("heading", name="最佳匹配")
        sketch = page.get_by_role("img", name="画板", exact=True)
        box = sketch.bounding_box()
        assert box is not None
        devtools = context.new_cdp_session(page)
        for k in range(21):
            at = {"x": box["x"] + box["width"] * (0.2 + 0.03 * k), "y": box["y"] + box["height"] / 2}
            devtools.send("Input.dispatchTouchEvent", {"type": "touchMove" if k else "touchStart", "touchPoints": [at]})
        devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(sketch).to_have_attribute("data-marks", "1")
        described = page.get_by_role("textbox", name="描述图片")
        described.tap()
        described.fill("狗")
        expect(page.get_by_text("模型只懂英文")).to_be_visible()
        described.fill("a dog")
        expect(best).to_be_visible()
        page.get_by_role("button", name="继续画").tap()
        page.get_by_role("slider", name="文字与手绘的权重").fill("0.8")
        assert "balance=0.8" in page.url
        results = page.get_by_role("list", name="结果").locator("button[data-id]")
        results.first.tap()
        page.get_by_role("button", name="查找相似").tap()
        expect(page.locator("[data-ingredient=like]")).to_contain_text("与这张图片相似")
        expect(sketch).to_have_attribute("data-marks", "0")
        page.go_back()
        expect(sketch).to_have_attribute("data-marks", "1")
        expect(described).to_have_value("a dog")
        page.get_by_role("button", name="重新开始").tap()
        recents = page.get_by_role("region", name="最近的搜索")
        expect(recents.get_by_role("button", name="再次搜索：手绘, a dog")).to_be_visible()


def test_refusal_of_the_server_is_told_in_chinese_with_its_details(site: Site, browser: Browser) -> None:
    with browser.new_context(locale="zh-CN") as context:
        page = context.new_page()
        page.route("**/imports", lambda route: route.fulfill(status=403, json={"code": "forbidden", "detail": "/etc: not in IMAGE_ROOTS"}))
        page.goto(site.gui)
        page.get_by_role("button", name="添加图片").click()
        page.get_by_role("button", name="导入文件夹").click()
        expect(page.get_by_role("alert")).to_have_text("服务器不允许这样做。（/etc: not in IMAGE_ROOTS）")
