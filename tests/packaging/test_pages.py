# SPDX-License-Identifier: Apache-2.0
"""Manual pages and completions, as they are installed: against --help, the library, man, groff and real shells.

    test_pages.py PAGES BIN LIBSPONSON

PAGES is the folder in which they were made. A shell that is not installed is a skipped test.
"""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

PAGES, BIN, LIBRARY = (pathlib.Path(arg).resolve() for arg in sys.argv[1:4])
SOURCES = pathlib.Path(__file__).resolve().parents[2] / "sidecar/pages"
PROGRAMS = {"sponsond": "sponson", "sponson": "sponson", "sponson-http": "http"}  # and the folder of its pages
WAIT_S = 30
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "TERM": "dumb",
               "SPONSON_SOCKET_DIR": "/nonexistent"}
failures = []
skipped = []


def check(holds, what):
    if not holds:
        failures.append(what)
        print("FAILED:", what)


def output(*command, **options):
    return subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=WAIT_S, check=False, **options)


def help_of(*command):
    done = output(str(BIN / command[0]), *command[1:], "--help")
    check(done.returncode == 0, f"{command}: --help")
    return done.stdout


def options_of(text):
    """Of the text of --help: names, and what stands after each =."""
    return dict(re.findall(r"^ {2,6}(?:-.,\s+)?--([a-z-]+)(?:=(\S+))?", text, re.M))


def verbs():
    rows = help_of("sponson").split(" Verbs:\n")[1].split("\n\n")[0]
    return re.findall(r"^  ([a-z]+)\b", rows, re.M)


def commands():
    return [("sponsond",), ("sponson-http",), ("sponson",)] + [("sponson", verb) for verb in verbs()]


# -- manual pages ------------------------------------------------------------------------------------

def check_formatting(page):
    """man and groff have nothing to complain about."""
    root = page.parent.parent
    man = output("man", "--warnings", "--local-file", "--encoding=UTF-8", str(page), cwd=root)
    check(man.returncode == 0 and not man.stderr, f"man {page.name}: {man.stderr}")
    groff = output("groff", "-ww", "-man", "-Tutf8", "-k", "-s", str(page), cwd=root)
    check(groff.returncode == 0 and not groff.stderr, f"groff {page.name}: {groff.stderr}")


def rendered(page):
    return output("man", "--local-file", "--encoding=UTF-8", str(page), cwd=page.parent.parent).stdout


def test_pages():
    for command in commands():
        section = 8 if command[0] != "sponson" else 1
        page = PAGES / PROGRAMS[command[0]] / "man" / f"man{section}" / f"{'-'.join(command)}.{section}"
        check(page.exists(), f"no page: {page}")
        if not page.exists():
            continue
        check_formatting(page)
        text = rendered(page)
        for name, value in options_of(help_of(*command)).items():
            check(re.search(rf"--{name}{'=' + re.escape(value) if value else ''}\b", text), f"{page.name}: --{name}")
        check("SEE ALSO" in text and "`" not in text, f"{page.name}: {text[-300:]}")
    main = rendered(PAGES / "sponson/man/man1/sponson.1")
    for verb in verbs():
        check(f"sponson-{verb}(1)" in main, f"sponson.1: {verb}")


def test_settings_pages():
    """Of a program that reads a file, all that may stand there."""
    for program, folder in PROGRAMS.items():
        if "print-config" not in options_of(help_of(program)):
            continue
        name = "sponson.yaml" if program == "sponsond" else f"{program}.yaml"
        page = PAGES / folder / "man/man5" / f"{name}.5"
        check_formatting(page)
        keys = re.findall(r"^([a-z-]+):", output(str(BIN / program), "--no-config", "--print-config").stdout, re.M)
        check(len(keys) > 5, f"{program} --print-config: {keys}")
        for key in keys:
            check(re.search(rf"^ +{key}: ", rendered(page), re.M), f"{page.name}: {key}")


def test_library_page():
    page = PAGES / "library/man/man3/libsponson.3"
    check_formatting(page)
    text = rendered(page)
    listed = output("nm", "-D", "--defined-only", str(LIBRARY)).stdout
    names = re.findall(r" T (spn_\w+)", listed)
    check(len(names) > 50, f"the library has {len(names)} functions")
    for name in names:
        check(re.search(rf"^ +.*\b{name}\(.*[,;]", text, re.M), f"libsponson.3: {name}")
        alias = page.with_name(f"{name}.3")
        check(alias.exists() and alias.read_text() == ".so man3/libsponson.3\n", f"man {name}")
    check(rendered(page.with_name("spn_publish.3")) == text, "man spn_publish shows another page")


# Records of a program that has everything that is hard (records.c; here > is a tab and ~ a form feed) ...
HARD = r"""program>prog verb
version>prog 1
args>NAME
args>--all
doc>Do it.~.dots and \ and --all, as `prog --all`.
group>
option>-n,--name>A|B>'quoted' first
group>More:
option>--all>>all of "it"
group>Hollow:
after>To the description.~~Exits with 9.~~Examples:~  prog 'a\nb'~      says `a`~~  .prog -x~      again
"""
# ... and its page, but for the lines of --help.
HARD_PAGE = r"""NAME
prog-verb - does it
SYNOPSIS
prog verb [OPTION]... NAME
prog verb [OPTION]... --all
DESCRIPTION
Do it. .dots and \ and --all, as prog --all.
To the description.
OPTIONS
-n, --name=A|B
'quoted' first
More
--all  all of "it"
EXIT STATUS
Exits with 9.
EXAMPLES
prog 'a\nb'
says a
.prog -x
again
SEE ALSO
other(8)
"""


def test_hard_settings():
    """The file's page of the same program: of what is given on the command line there is no line."""
    pathlib.Path("settings").write_text('all: "x"  # default\nname: 1  # command line\n', encoding="utf-8")
    made = output("awk", "-v", "page=prog.yaml", "-v", "others=prog(8)", "-f", str(SOURCES / "roff.awk"),
                  "-f", str(SOURCES / "yaml.awk"), "hard", "settings")
    page = pathlib.Path("man1/prog.yaml.5").resolve()
    page.write_text(made.stdout, encoding="utf-8")
    check_formatting(page)
    text = rendered(page)
    check(not made.stderr and re.search(r'all: "x"\s+all of "it"', text) and "name: 1" not in text, f"yaml: {text}")


def test_hard_page():
    pathlib.Path("hard").write_text(HARD.replace(">", "\t").replace("~", "\f"), encoding="utf-8")
    made = output("awk", "-v", "section=1", "-v", "summary=does it", "-v", "others=other(8) prog-verb(1)",
                  "-f", str(SOURCES / "roff.awk"), "-f", str(SOURCES / "man.awk"), "hard")
    check(not made.stderr, f"man.awk: {made.stderr}")
    page = pathlib.Path("man1/prog-verb.1").resolve()
    page.parent.mkdir()
    page.write_text(made.stdout, encoding="utf-8")
    check_formatting(page)
    text = re.sub(r"^ +Help\n.*?(?=^\S)", "", rendered(page), flags=re.M | re.S)
    lines = [line.strip() for line in text.splitlines() if line.strip()][1:-1]
    check(lines == HARD_PAGE.splitlines(), f"the hard page: {lines}")
    test_hard_settings()


# -- shells ------------------------------------------------------------------------------------------

class Shell:
    """A shell at a terminal. `typed` returns what a command that was completed by its Tabs was called with."""

    def __init__(self, command, setup):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, {**ENVIRONMENT, "PS1": "", "PS2": ""})
        # Not in one piece, or what the terminal returns would have it.
        self.send(f"{setup}\nprintf 'rea%s\\n' dy\n")
        self.until("ready")

    def send(self, text):
        os.write(self.terminal, text.encode())

    def until(self, pattern):
        seen = ""
        end = time.monotonic() + WAIT_S
        while not (found := re.search(pattern, seen)):
            if not select.select([self.terminal], [], [], end - time.monotonic())[0]:
                raise TimeoutError(f"{pattern} not in {seen!r}")
            seen += os.read(self.terminal, 4096).decode(errors="replace")
        return found

    def typed(self, line):
        self.send(line + "\n")
        return self.until(r"got<([^>\n]*)>").group(1)

    def close(self):
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


# What is typed, with Tabs, and what the command gets. Each word has one completion.
TYPED = [
    ("sponson pub\t", "publish"),
    ("sponson tail --form\tjs\t", "tail --format=jsonl"),
    ("sponson bench --ack=acc\tlat\t", "bench --ack=accepted latency"),
    ("sponson record --ack-log fil\tchat --ids ne\t", "record --ack-log file chat --ids new"),
    ("sponson tail --exit\t", "tail --exit-when-caught-up"),
    ("sponsond --data-d\tfol\t", "--data-dir=folder/"),
    ("sponson-http --insec\t", "--insecure-loopback"),
    ("sponson last cha\t", "last chat-7"),
]
# They stand for the programs, but for the question for names.
STUBS = "; ".join(f"{name}() {{ if [ \"$1\" = sessions ]; then command {name} \"$@\"; "
                  f"else printf 'got%s%s>\\n' '<' \"$*\"; fi; }}" for name in PROGRAMS)


def try_typing(name, shell):
    for line, wanted in TYPED:
        got = shell.typed(line).rstrip()
        check(got == wanted, f"{name}: {line!r} became {got!r}, not {wanted!r}")
    shell.close()


def test_bash():
    files = " ".join(str(PAGES / folder / "bash" / name) for name, folder in PROGRAMS.items())
    setup = f"for file in {files}; do . $file; done; {STUBS}; bind 'set bell-style none'"
    try_typing("bash", Shell(["bash", "--norc", "--noprofile", "-i"], setup))
    # Everything that is offered, for every program and verb.
    for command in commands():
        words = " ".join(command)
        script = (f". {PAGES / PROGRAMS[command[0]] / 'bash' / command[0]}; compopt() {{ :; }}; "
                  f"COMP_WORDS=({words} --); COMP_CWORD={len(command)}; _{command[0].replace('-', '_')}; "
                  "printf '%s\\n' \"${COMPREPLY[@]}\"")
        offered = set(output("bash", "--norc", "-c", script).stdout.split())
        wanted = {f"--{name}{'=' if value else ''}" for name, value in options_of(help_of(*command)).items()}
        check(offered == wanted, f"bash: {command}: {offered ^ wanted}")


def test_zsh():
    folders = " ".join(str(PAGES / folder / "zsh") for folder in ("sponson", "http"))
    setup = (f"fpath=({folders} $fpath); autoload -U compinit; compinit -u -D; unsetopt beep auto_remove_slash; "
             f"{STUBS}")
    try_typing("zsh", Shell(["zsh", "-f", "-i"], setup))


def test_fish():
    def offered(line):
        name = line.split()[0]
        script = f"source {PAGES / PROGRAMS[name] / 'fish' / name}.fish; complete -C {line!r}"
        done = output("fish", "--no-config", "-c", script)
        check(done.returncode == 0 and not done.stderr, f"fish: {line!r}: {done.stderr}")
        return {row.split("\t")[0] for row in done.stdout.splitlines()}

    for command in commands():
        got = offered(" ".join(command) + " --")
        wanted = {f"--{name}{'=' if value else ''}" for name, value in options_of(help_of(*command)).items()}
        check({name.rstrip("=") for name in got} == {name.rstrip("=") for name in wanted},
              f"fish: {command}: {got ^ wanted}")
    check(offered("sponson ") == set(verbs()), "fish: the verbs")
    check(offered("sponson tail --format=") == {"--format=sse", "--format=jsonl"}, "fish: tail --format")
    check(offered("sponson bench l") == {"latency"}, "fish: bench")
    check(offered("sponson last ") == {"chat-7"}, "fish: sessions, and no verb after a verb")


# -- run ---------------------------------------------------------------------------------------------

class Sidecar:
    """With one session, whose name is completed."""

    def __init__(self):
        for name in ("data", "sockets"):
            pathlib.Path(name).mkdir()
        ENVIRONMENT["SPONSON_SOCKET_DIR"] = os.path.abspath("sockets")
        self.log = open("log", "w", encoding="utf-8")
        self.daemon = subprocess.Popen([BIN / "sponsond", "--data-dir", "data"], env=ENVIRONMENT, stderr=self.log)
        done = output(str(BIN / "sponson"), "publish", "chat-7", "hello", "--timeout", str(WAIT_S))
        check(done.returncode == 0, done.stderr)

    def stop(self):
        self.daemon.terminate()
        check(self.daemon.wait(WAIT_S) == 0, pathlib.Path("log").read_text(encoding="utf-8"))
        self.log.close()


def main():
    needed = {test_pages: "man", test_settings_pages: "man", test_library_page: "man", test_hard_page: "man",
              test_bash: "bash", test_zsh: "zsh", test_fish: "fish"}
    with tempfile.TemporaryDirectory() as home:
        ENVIRONMENT["HOME"] = ENVIRONMENT["XDG_CONFIG_HOME"] = ENVIRONMENT["XDG_DATA_HOME"] = home
        ENVIRONMENT["XDG_CACHE_HOME"] = home
        os.chdir(home)
        pathlib.Path("file").touch()
        pathlib.Path("folder").mkdir()
        sidecar = Sidecar()
        for test, program in needed.items():
            if shutil.which(program):
                test()
            else:
                skipped.append(f"{test.__name__}: {program} is not installed")
        sidecar.stop()
    for line in skipped:
        print("skipped:", line)
    if skipped:
        print(f"{len(skipped)} SKIPPED TEST(S)")
    print(f"{len(failures)} failures")
    return 1 if failures else 0


sys.exit(main())
