#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The container: its root has the programs and what they need and nothing else, and runs in a chroot as the user
that it is for, on volumes as Kubernetes mounts them, with the arguments and probes of the manifests. The image has
the same root, and is made without a network.

container.py root|image BIN SOURCE
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile

SKIPPED = 77
WAIT_S = 60
BIN, SOURCE = map(pathlib.Path, sys.argv[2:4])
HERE = SOURCE / "sidecar/container"
USER = 65532
APP = 1000
CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"
PROGRAMS = {"usr/bin/sponson", "usr/sbin/sponsond", "usr/sbin/sponson-http"}
# Who a volume's root belongs to, and its mode: the image's own directory, and a hostPath after `directories`;
# an emptyDir; one with fsGroup; a claim with fsGroup.
VOLUMES = [(USER, USER, 0o750), (0, 0, 0o777), (0, USER, 0o2777), (0, USER, 0o2775)]


def skip(why):
    print(why + ": not checked")
    sys.exit(SKIPPED)


def run(*words, code=0, **more):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=WAIT_S, **more)
    assert done.returncode == code, (words, done)
    return done


# -- the root ------------------------------------------------------------------------------------------------------


def check_files(root):
    """Root's but for two directories; nobody else may write to anything; no program but ours."""
    own = set()
    runs = set()
    for path in root.rglob("*"):
        found = path.lstat()
        name = str(path.relative_to(root))
        assert stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode), name
        assert found.st_mode & 0o6022 == 0, (name, oct(found.st_mode))
        if (found.st_uid, found.st_gid) != (0, 0):
            assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (USER, USER, 0o750), name
            own.add(name)
        is_text = name.startswith(("etc/", "usr/share/doc/"))
        if path.is_file() and not is_text and not re.search(r"\.so(\.|$)", name):
            runs.add(name)
    assert own == {"data", "run/sponson"}, own
    assert runs == PROGRAMS, runs
    licences = {path.parent.name for path in root.glob("usr/share/doc/*/copyright")}
    assert "sponson" in licences
    if shutil.which("dpkg-query"):
        assert {"libc6", "liblmdb0", "libzmq5", "libmicrohttpd12"} <= licences, licences


def chroot_words(root, user, *words):
    return [CHROOT, f"--userspec={user}:{user}", f"--groups={USER}", str(root), *words]


def can_chroot(root):
    done = subprocess.run(chroot_words(root, USER, "/usr/bin/sponson", "--version"), capture_output=True, text=True,
                          timeout=WAIT_S)
    if done.returncode in (125, 126) and "not permitted" in done.stderr:
        return False
    assert done.returncode == 0 and done.stdout.startswith("sponson "), done
    return True


class Container:
    """The daemon in its root, with the image's environment and nothing else."""

    def __init__(self, root, environment, arguments, volume):
        self.root, self.environment = root, environment
        for name in ("data", "run/sponson"):
            place = root / name
            shutil.rmtree(place)
            place.mkdir()
            os.chown(place, *volume[:2])
            place.chmod(volume[2])
        reading, writing = os.pipe()
        self.log = open(root.parent / "log", "w+")
        self.daemon = subprocess.Popen(
            chroot_words(root, USER, "/usr/sbin/sponsond", *arguments, f"--ready-fd={writing}"), pass_fds=[writing],
            env=environment, stderr=self.log, stdout=self.log)
        os.close(writing)
        with os.fdopen(reading, "rb") as ready:
            assert ready.readline() == b"ready\n", self.words()

    def words(self):
        self.log.seek(0)
        return self.log.read()

    def run(self, user, *words, code=0, **more):
        return run(*chroot_words(self.root, user, *words), code=code, env=self.environment, **more)

    def end(self, probes):
        """What kept the pod alive now says that there is nobody."""
        self.daemon.terminate()
        assert self.daemon.wait(WAIT_S) == 0, self.words()
        for probe in probes:
            self.run(USER, *probe, code=5)

    def close(self):
        self.daemon.kill()
        self.daemon.wait()
        self.log.close()


def check_gateway(container):
    """It starts as the image's user, and hands out what the app published."""
    reading, writing = os.pipe()
    gateway = subprocess.Popen(
        chroot_words(container.root, USER, "/usr/sbin/sponson-http", "--socket=/run/sponson/http.sock",
                     f"--ready-fd={writing}"),
        pass_fds=[writing], env=container.environment, stderr=subprocess.DEVNULL)
    directory = os.open(container.root / "run/sponson", os.O_PATH)
    try:
        os.close(writing)
        with os.fdopen(reading, "rb") as ready:
            assert ready.readline() == b"ready\n"
        with contextlib.closing(http.client.HTTPConnection("localhost", timeout=WAIT_S)) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(f"/proc/self/fd/{directory}/http.sock")  # its own path may be too long
            connection.request("GET", "/v1/sessions/s?until=caught-up")
            assert b"data: hello" in connection.getresponse().read()
        gateway.terminate()
        assert gateway.wait(WAIT_S) == 0
    finally:
        os.close(directory)
        gateway.kill()
        gateway.wait()


def check_runs(root, environment, manifest, volume):
    container = Container(root, environment, manifest["args"], volume)
    try:
        for probe in manifest["probes"]:
            container.run(USER, *probe)
        container.run(APP, "/usr/bin/sponson", "publish", "s", "hello")
        assert "hello" in container.run(APP, "/usr/bin/sponson", "replay", "s").stdout
        container.run(USER, "/usr/bin/sponson", "stats", "--prometheus")
        kept = (root / "data/sponson").stat()
        assert (kept.st_uid, kept.st_mode & 0o7027) == (USER, kept.st_mode & 0o2000), oct(kept.st_mode)
        # Who is not in the group does not get in.
        run(CHROOT, f"--userspec={APP}:{APP}", "--groups=", root, "/usr/bin/sponson", "last", "s", code=2,
            env=environment)
        if volume == VOLUMES[0]:
            check_gateway(container)
        container.end(manifest["probes"])
    finally:
        container.close()


# -- the manifests -------------------------------------------------------------------------------------------------


def bytes_of(text):
    number, unit = re.fullmatch(r"(\d+)([KMG]?)i?", text).groups()
    return int(number) << {"": 0, "K": 10, "M": 20, "G": 30}[unit]


def option(arguments, name):
    return next(word.partition("=")[2] for word in arguments if word.startswith(name + "="))


def check_guarded(pod, container):
    """What the profile `restricted` of Kubernetes wants, and the read-only root."""
    rights = {**pod["securityContext"], **container["securityContext"]}
    assert rights["seccompProfile"] == {"type": "RuntimeDefault"} and rights["runAsNonRoot"], container["name"]
    assert rights["allowPrivilegeEscalation"] is False, container["name"]
    assert rights["capabilities"] == {"drop": ["ALL"]}, container["name"]
    names = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} <= names, container["name"]


def check_app(pod, app):
    check_guarded(pod, app)
    rights = pod["securityContext"]
    assert USER in rights.get("supplementalGroups", []) or rights.get("fsGroup") == USER
    assert app["env"] == [{"name": "SPONSON_SOCKET_DIR", "value": "/run/sponson"}]
    assert app["volumeMounts"] == [{"name": "sockets", "mountPath": "/run/sponson", "readOnly": True}]


def check_sponson(pod, sponson):
    check_guarded(pod, sponson)
    assert sponson["securityContext"]["readOnlyRootFilesystem"]
    mounts = {mount["mountPath"]: mount for mount in sponson["volumeMounts"]}
    assert set(mounts) == {"/data", "/run/sponson"} and not any("readOnly" in mount for mount in mounts.values())
    data = next(volume for volume in pod["volumes"] if volume["name"] == "data")
    if "emptyDir" in data:
        quota = bytes_of(option(sponson["args"], "--quota"))
        assert bytes_of(data["emptyDir"]["sizeLimit"]) >= quota * 5 // 4 + (128 << 20)
        assert pod["securityContext"]["fsGroup"] == USER
        assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    probes = [sponson[kind] for kind in ("startupProbe", "livenessProbe", "readinessProbe")]
    commands = [probe["exec"]["command"] for probe in probes]
    assert [command[-1] for command in commands] == ["--live", "--live", "--ready"]
    assert all(probe.get("timeoutSeconds", 1) >= 1 for probe in probes)
    return {"args": sponson["args"], "probes": commands}


def check_directories(setup):
    """The command that gives the daemon the node's directories, on two others."""
    rights = setup["securityContext"]
    assert rights["runAsUser"] == 0 and rights["capabilities"] == {"drop": ["ALL"], "add": ["CHOWN", "FOWNER"]}
    with tempfile.TemporaryDirectory() as place:
        command = setup["command"][-1]
        for mount in setup["volumeMounts"]:
            inside = pathlib.Path(place) / mount["mountPath"].strip("/").replace("/", "-")
            inside.mkdir()
            command = command.replace(mount["mountPath"], str(inside))
        run(*setup["command"][:-1], command)
        found = [path.stat() for path in pathlib.Path(place).iterdir()]
        assert [(each.st_uid, each.st_gid, stat.S_IMODE(each.st_mode)) for each in found] == VOLUMES[:1] * 2


def manifests():
    """The daemon's arguments and probes, of each manifest."""
    try:
        import yaml
    except ImportError:
        skip("python3-yaml is not installed")
    pods = {}
    for name in ("sidecar", "daemonset"):
        for part in yaml.safe_load_all((HERE / f"{name}.yaml").read_text()):
            template = part["spec"]["template"]
            assert part["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
            pods[part["kind"], name] = template["spec"]
    sidecar, node, user = (pods[key] for key in (("Deployment", "sidecar"), ("DaemonSet", "daemonset"),
                                                 ("Deployment", "daemonset")))
    assert len(pods) == 3
    assert sidecar["initContainers"][0]["restartPolicy"] == "Always"
    check_app(sidecar, sidecar["containers"][0])
    check_app(user, user["containers"][0])
    check_directories(node["initContainers"][0])
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in node["volumes"]}
    assert user["volumes"] == [{"name": "sockets", "hostPath": {"path": paths["sockets"], "type": "Directory"}}]
    return [check_sponson(sidecar, sidecar["initContainers"][0]), check_sponson(node, node["containers"][0])]


# -- both ----------------------------------------------------------------------------------------------------------


def check_root(root, environment):
    check_files(root)
    if not can_chroot(root):
        skip("no chroot is allowed here")
    for number, volume in enumerate(VOLUMES):
        check_runs(root, environment, manifests()[number % 2], volume)
        print("ok", volume)


def environment_of():
    """What Containerfile sets."""
    words = re.search(r"^ENV (.*?[^\\])$", (HERE / "Containerfile").read_text(), re.M | re.S).group(1)
    return dict(pair.split("=", 1) for pair in words.replace("\\\n", " ").split())


def root(work):
    run("sh", HERE / "root.sh", BIN, work / "root.tar")
    (work / "root").mkdir()
    run("tar", "-xpf", work / "root.tar", "--numeric-owner", "-C", work / "root")
    check_root(work / "root", environment_of())


def works(*words):
    return subprocess.run([*map(str, words)], capture_output=True, timeout=WAIT_S).returncode == 0


def image(work):
    if not shutil.which("buildah"):
        skip("buildah is not installed")
    store = ["buildah", "--root", str(work / "store"), "--runroot", str(work / "run"), "--storage-driver", "vfs"]
    (work / "Containerfile").write_text("FROM scratch\n")
    if not works(*store, "bud", "--isolation", "chroot", work):
        skip("buildah cannot build here")
    offline = ["unshare", "-n"] if works("unshare", "-n", "true") else []
    environment = {**os.environ, "BUILDAH": " ".join(store[:-2])}
    digests = []
    for _ in range(2):
        run(*offline, "sh", HERE / "build.sh", BIN, "sponson:test", env=environment)
        digests.append(json.loads(run(*store, "inspect", "--type", "image", "sponson:test").stdout)["FromImageID"])
    assert digests[0] == digests[1], "another image of the same programs"
    config = json.loads(run(*store, "inspect", "--type", "image", "sponson:test").stdout)["OCIv1"]["config"]
    assert config["User"] == f"{USER}:{USER}" and config["Entrypoint"] == ["/usr/sbin/sponsond"], config
    assert config["StopSignal"] == "SIGTERM" and list(config["Volumes"]) == ["/data"], config
    version = run(BIN / "sponson", "--version").stdout.split()[1]
    assert config["Labels"]["org.opencontainers.image.version"] == version, config
    environment = dict(pair.split("=", 1) for pair in config["Env"])
    assert environment == environment_of()
    held = run(*store, "from", "sponson:test").stdout.strip()
    mounted = pathlib.Path(run(*store, "mount", held).stdout.strip())
    check_root(mounted, environment)


def main():
    if os.geteuid() != 0:
        skip("only root may chroot")
    with tempfile.TemporaryDirectory(prefix="spn-container-") as place:
        work = pathlib.Path(place)
        work.chmod(0o755)
        try:
            os.chown(work, USER, USER)
            os.chown(work, 0, 0)
        except OSError:
            skip("files of other users cannot be made here")
        {"root": root, "image": image}[sys.argv[1]](work)


main()
