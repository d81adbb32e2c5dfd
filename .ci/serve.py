"""Uses `pig serve` in Chromium as a person would: `serve.py PIG DATA AXE FOLDER [PICTURES]`; `.ci/serve` calls it.

A training is started on DATA, watched, its server killed, stopped and continued; pairs are made from noise and for a drawn mask and compared with those of the
command line byte by byte; they are curated by keys and exported. axe-core (its file is AXE) looks at every page, in light and dark and at phone width, and no
fault of it may be serious. The browser is spoken to by the protocol WebDriver, without a package.
"""

import base64
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Everything must end within this many seconds.
LIMIT = 240
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
]
DESKTOP, PHONE = (1280, 900), (390, 844)


class Browser:
    """A session of chromedriver."""

    def __init__(self, profile):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        port = None
        for line in self.driver.stdout:
            if "started successfully on port" in line:
                port = line.rsplit(" ", 1)[1].strip().rstrip(".")
                break
        if port is None:
            raise SystemExit("serve: chromedriver did not start")
        self.base = f"http://127.0.0.1:{port}"
        flags = [*FLAGS, f"--user-data-dir={profile}", f"--window-size={DESKTOP[0]},{DESKTOP[1]}"]
        options = {"goog:chromeOptions": {"args": flags, "binary": shutil.which("chromium")}, "goog:loggingPrefs": {"browser": "ALL"}}
        found = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": options}})
        self.base += f"/session/{found['sessionId']}"

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:600]}") from None

    def go(self, url):
        self.ask("POST", "/url", {"url": url})

    def url(self):
        return self.ask("GET", "/url")

    def run(self, script, *arguments):
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def later(self, script, *arguments):
        return self.ask("POST", "/execute/async", {"script": script, "args": list(arguments)})

    def element(self, selector):
        return self.ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        try:
            self.ask("POST", f"/element/{self.element(selector)}/click", {})
        except AssertionError as error:
            # The element was exchanged between the two questions to the browser; a person would not have noticed.
            if "stale element" not in str(error):
                raise
            self.ask("POST", f"/element/{self.element(selector)}/click", {})

    def fill(self, selector, text):
        self.run(
            "const field = document.querySelector(arguments[0]); field.value = arguments[1];"
            "field.dispatchEvent(new Event('input', {bubbles: true}))",
            selector,
            text,
        )

    def keys(self, selector, text):
        self.ask("POST", f"/element/{self.element(selector)}/value", {"text": text})

    def text(self, selector="body"):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def draw(self, selector, points):
        """Draws with the mouse from point to point, which are shares of the element's width and height from its middle."""
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        box = self.run("const box = document.querySelector(arguments[0]).getBoundingClientRect(); return [box.width, box.height]", selector)
        origin = {ELEMENT: self.element(selector)}
        moves = [
            {"type": "pointerMove", "duration": 40, "origin": origin, "x": round(x * box[0]), "y": round(y * box[1])} for x, y in points
        ]
        actions = [moves[0], {"type": "pointerDown", "button": 0}, *moves[1:], {"type": "pointerUp", "button": 0}]
        pointer = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}
        self.ask("POST", "/actions", {"actions": [pointer]})

    def look(self, size, scheme):
        """Sets the size of the window and the system's colours."""
        wide, high = size
        command = {"cmd": "Emulation.setDeviceMetricsOverride"}
        command["params"] = {"width": wide, "height": high, "deviceScaleFactor": 1, "mobile": False}
        self.ask("POST", "/goog/cdp/execute", command)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}})

    def picture(self):
        return base64.b64decode(self.ask("GET", "/screenshot"))

    def console(self):
        """Errors that the page's scripts or its policy made."""
        lines = self.ask("POST", "/se/log", {"type": "browser"})
        return [line["message"] for line in lines if line["level"] == "SEVERE"]

    def close(self):
        try:
            self.ask("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()


class Server:
    """`pig serve` on a free port."""

    def __init__(self, pig, folder):
        self.process = subprocess.Popen(
            [pig, "serve", folder, "--port", "0", "--device", "cpu"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.link = self.process.stdout.readline().strip()
        self.base = self.link.split("/?")[0]

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait()


class Check:
    def __init__(self, arguments):
        self.pig, self.data, axe, folder = (Path(word) for word in arguments[:4])
        self.pictures = Path(arguments[4]) if len(arguments) > 4 else None
        self.axe = axe.read_text()
        self.folder = folder
        folder.mkdir(parents=True)
        shutil.copytree(self.data, folder / "phantoms")
        shutil.copy(ROOT / "configs" / "smoke.toml", folder / "smoke.toml")
        self.end = time.monotonic() + LIMIT
        self.server = Server(self.pig, folder)
        self.browser = Browser(folder.parent / "profile")
        self.faults, self.looked = [], 0

    def until(self, what, holds, seconds=60):
        end = min(self.end, time.monotonic() + seconds)
        while True:
            try:
                found = holds()
            except AssertionError:
                found = None
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"{what} did not happen; the page is {self.browser.url()}:\n{self.browser.text()[-3000:]}")
            time.sleep(0.1)

    def command(self, *words):
        done = subprocess.run([self.pig, *map(str, words), "--quiet", "--device", "cpu"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def inspect(self, name):
        """axe-core and the browser's own errors, in light and dark and at phone width; and screenshots."""
        for kind, size, scheme in (("light", DESKTOP, "light"), ("dark", DESKTOP, "dark"), ("phone", PHONE, "light")):
            self.browser.look(size, scheme)
            time.sleep(0.15)
            script = f"{self.axe};const done = arguments[arguments.length - 1]; axe.run(document, {{iframes: false}}).then((found) => done(found.violations))"
            for fault in self.browser.later(script):
                if fault["impact"] in ("serious", "critical"):
                    places = "; ".join(node["html"][:160] for node in fault["nodes"][:3])
                    self.faults.append(f"{name}, {kind}: {fault['id']} ({fault['impact']}): {fault['help']}: {places}")
            over = self.browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if over > 1:
                self.faults.append(f"{name}, {kind}: the page is {over} pixels wider than the window")
            if self.pictures:
                self.pictures.mkdir(parents=True, exist_ok=True)
                (self.pictures / f"{name}-{kind}.png").write_bytes(self.browser.picture())
        self.browser.look(DESKTOP, "light")
        self.looked += 1
        self.faults += [f"{name}: {line}" for line in self.browser.console() if "favicon" not in line]

    def go(self, path):
        self.browser.go(self.server.base + path)

    def start(self):
        browser = self.browser
        browser.go(self.server.base + "/")
        assert "closed" in browser.text(), browser.text()
        browser.console()
        self.inspect("closed")
        browser.console()
        browser.go(self.server.link)
        assert browser.url() == self.server.base + "/" and "No run" in browser.text(), browser.text()
        self.inspect("empty")

    def train(self):
        browser = self.browser
        self.go("/new")
        self.inspect("new")
        browser.run("document.querySelector('#by-config [name=config]').value = 'smoke.toml'")
        browser.fill("#by-config [name=name]", "first")
        steps = "train.steps = 3000\ntrain.model_x_steps = 5\ntrain.checkpoint_every = 20\ntrain.validate_every = 0\ntrain.preview_every = 25\ntrain.watch_samples = 0"
        browser.fill("#by-config [name=sets]", steps)
        browser.click("#by-config button")
        self.until("the training", lambda: "running" in browser.text("#state") and "model_" in browser.text("#state"))
        # A killed server loses nothing: the training goes on, and the next server shows it.
        self.server.kill()
        self.until("the notice", lambda: "does not answer" in browser.text("#notice"))
        self.server = Server(self.pig, self.folder)
        browser.go(self.server.link)
        self.until("the card", lambda: "training" in browser.text("#runs"))
        browser.console()
        self.go("/run?path=runs/first")
        self.until("a preview", lambda: browser.run("return document.querySelectorAll('#previews img').length"))
        self.until("the curves", lambda: browser.run("return document.querySelectorAll('#curves svg').length"))
        before = browser.text("#state")
        self.until("a change", lambda: browser.text("#state") != before)
        self.inspect("training")
        assert "train.steps" in browser.text() and "3000" in browser.text()
        # A second one is refused.
        self.go("/new")
        browser.fill("#by-config [name=name]", "second")
        browser.click("#by-config button")
        self.until("the refusal", lambda: "One training runs at a time" in browser.text())
        browser.console()
        self.go("/run?path=runs/first")
        browser.click("#actions .danger")
        self.until("the stop", lambda: "stopped" in browser.text("#state"))
        # Fewer steps than were asked for at first end the test early: the run is trained anew with them.
        browser.click("#actions .primary")
        self.until("the going on", lambda: "training" in browser.text("#state"))
        browser.click("#actions .danger")
        self.until("the second stop", lambda: "stopped" in browser.text("#state"))

        def begun():
            """The training that was stopped may still be ending, and then another one is refused."""
            self.go("/new")
            browser.run("document.querySelector('#by-config [name=config]').value = 'smoke.toml'")
            browser.fill("#by-config [name=name]", "short")
            browser.fill("#by-config [name=sets]", "train.steps = 12")
            browser.click("#by-config button")
            self.until("the answer", lambda: "/job?" in browser.url() or "One training runs at a time" in browser.text())
            return "/job?" in browser.url()

        def ended():
            """Until the training has made its folder, there is no page of the run, and what stands there does not change."""
            if "There is no run" in browser.text():
                self.go("/run?path=runs/short")
            return "finished" in browser.text("#state")

        self.until("the beginning", begun)
        browser.console()
        self.go("/run?path=runs/short")
        self.until("the end", ended)
        # That there was no page of the run at first is no fault.
        browser.console()
        self.go("/")
        self.until("the cards", lambda: "finished" in browser.text("#runs") and "stopped" in browser.text("#runs"))
        self.inspect("runs")

    def same(self, made, *words):
        """Whether the files of pairs are byte for byte those of the command line."""
        other = self.folder.parent / f"plain-{made.name}"
        self.command("sample", "--run", self.folder / "runs/short", "--out", other, *words)
        for kind in ("images", "masks"):
            files = sorted((other / kind).glob("*.png"))
            assert files, other
            for file in files:
                assert file.read_bytes() == (made / kind / file.name).read_bytes(), file

    def sample(self):
        browser = self.browser
        self.go("/sample?run=runs/short")
        browser.fill("[name=seeds]", "0-11")
        browser.fill("[name=name]", "noise")
        browser.click("#sample .primary")
        self.until("the steps", lambda: browser.run("return document.querySelectorAll('#steps figure img').length") == 12)
        self.until("the pairs", lambda: "done" in browser.text("#state"))
        assert "step 8 of 8" in browser.text("#steps"), browser.text("#steps")
        self.inspect("steps")
        self.same(self.folder / "samples/noise", "--seeds", "0-11", "--steps", "8")

        self.go("/sample?run=runs/short")
        browser.click("[name=source][value=mask]")
        browser.fill("#brush", "8")
        browser.draw("#canvas", [(-0.2, -0.1), (0.0, 0.1), (0.2, 0.0)])
        self.until("the drawing", lambda: "pixels of lesion" in browser.text("#drawn"))
        self.inspect("drawing")
        browser.fill("[name=seeds]", "0-3")
        browser.fill("[name=name]", "drawn")
        browser.click("#sample .primary")
        self.until("the pairs of the drawing", lambda: "done" in browser.text("#state"))
        masks = list((self.folder / ".serve/masks").iterdir())
        assert len(masks) == 1, masks
        self.same(self.folder / "samples/drawn", "--seeds", "0-3", "--steps", "8", "--given-mask", masks[0])

    def curate(self):
        browser = self.browser
        self.go("/gallery?path=samples/noise&run=runs/short")
        self.until("the pairs", lambda: "12 pairs" in browser.text("#count"))
        self.inspect("gallery")
        browser.keys("#grid", "kkrk")
        self.until("the decisions", lambda: browser.run("return Number(document.body.dataset.saved ?? 0)") >= 4)
        assert "3 kept, 1 rejected" in browser.text("#count"), browser.text("#count")
        with open(self.folder / "samples/noise/manifest.csv", newline="") as file:
            choices = [row["curated"] for row in csv.DictReader(file)]
        assert choices == ["keep", "keep", "reject", "keep", *[""] * 8], choices
        browser.run("const list = document.getElementById('decision'); list.value = 'reject'; list.dispatchEvent(new Event('input'))")
        self.until("the filter", lambda: browser.text("#count").startswith("1 of 12"))
        browser.run("const list = document.getElementById('decision'); list.value = ''; list.dispatchEvent(new Event('input'))")
        browser.keys("#grid", "\ue007")
        self.until("the nearest training image", lambda: "Distance" in browser.text("#viewer"))
        self.until("its picture", lambda: browser.run("return document.querySelector('.near img')?.naturalWidth > 0"))
        self.inspect("viewer")
        browser.keys(".viewer", "\ue00c")
        browser.click("[name=only_kept]")
        browser.fill("[action='/export'] [name=name]", "kept")
        browser.click("[action='/export'] button")
        self.until("the export", lambda: "done" in browser.text("#state"))
        with open(self.folder / "exports/kept/manifest.csv", newline="") as file:
            exported = [row["source_id"] for row in csv.DictReader(file)]
        assert exported == ["000000", "000001", "000003"], exported
        # pig sample writes the manifest again, and the decisions stay.
        self.command(
            "sample", "--run", self.folder / "runs/short", "--out", self.folder / "samples/noise", "--seeds", "0-12", "--steps", "8"
        )
        with open(self.folder / "samples/noise/manifest.csv", newline="") as file:
            choices = [row["curated"] for row in csv.DictReader(file)]
        assert choices == ["keep", "keep", "reject", "keep", *[""] * 9], choices

    def rest(self):
        browser = self.browser
        self.go("/compare?a=samples/noise&b=samples/drawn")
        self.until("both folders", lambda: "4 seeds are in both" in browser.text("#count"))
        self.inspect("compare")
        self.go("/reports")
        browser.run("document.querySelector('[action=\"/report\"] select').value = 'runs/short'")
        browser.click("[action='/report'] button")
        self.until("the report", lambda: "done" in browser.text("#state"))
        browser.click("#actions .primary")
        self.until("its page", lambda: browser.run("return document.querySelectorAll('iframe').length"))
        self.inspect("report")
        self.go("/reports")
        self.inspect("reports")

    def close(self):
        self.server.kill(signal.SIGTERM)
        # After a fault, what the page has started may still run.
        for record in (self.folder / ".serve" / "jobs").glob("*.json"):
            process = (json.loads(record.read_text()).get("process") or {}).get("id")
            command = Path(f"/proc/{process}/cmdline")
            if process and command.exists() and str(self.folder) in command.read_text():
                os.kill(process, signal.SIGKILL)
        self.browser.close()


def main():
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__.split("\n", maxsplit=1)[0])
    os.environ.setdefault("PIG_CACHE_DIR", str(Path(sys.argv[4]).parent / "cache"))
    since, check = time.monotonic(), Check(sys.argv[1:])
    try:
        for part in (check.start, check.train, check.sample, check.curate, check.rest):
            part()
            print(f"serve: {part.__name__}: {time.monotonic() - since:.0f} s", flush=True)
    finally:
        check.close()
    if check.faults:
        sys.exit("serve: faults of pages:\n" + "\n".join(check.faults))
    print(f"serve: {check.looked} pages in light, dark and at phone width without a serious fault; {time.monotonic() - since:.0f} s")


if __name__ == "__main__":
    main()
