"""Archives from the web: nothing outside of their folder, whole or not at all."""

import errno
import io
import os
import shutil
import stat
import tarfile
import threading
import zipfile

import pytest

from skrec.datasets._web.archives import unpack

FILES = {"data/a.txt": b"one", "data/deep/b.txt": b"two" * 1000}


def write_zip(path, files=FILES, **attributes):
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in files.items():
            info = zipfile.ZipInfo(name)
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            archive.writestr(info, body)


def write_tar(path, files=FILES, **attributes):
    with tarfile.open(path, "w:gz") as archive:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            archive.addfile(info, io.BytesIO(body))


WRITERS = {"zip": write_zip, "tar.gz": write_tar}


@pytest.fixture(params=WRITERS)
def kind(request):
    return request.param


@pytest.fixture
def paths(tmp_path, kind):
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / f"data.{kind}", tmp_path / "home" / "unpacked"


def left(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".download")


def test_all_files_come_out(kind, paths):
    archive, folder = paths
    WRITERS[kind](archive)
    assert unpack(archive, folder) == folder
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == FILES
    assert left(folder.parent) == [archive.name, "unpacked"]


def test_a_folder_that_is_there_stays(kind, paths):
    archive, folder = paths
    WRITERS[kind](archive)
    unpack(archive, folder)
    (folder / "mark").touch()
    unpack(archive, folder)
    assert (folder / "mark").exists()


def test_a_new_archive_replaces_the_folder(kind, paths):
    archive, folder = paths
    WRITERS[kind](archive)
    unpack(archive, folder)
    WRITERS[kind](archive, {"new.txt": b"new"})
    later = folder.stat().st_mtime_ns + 10**9
    os.utime(archive, ns=(later, later))
    unpack(archive, folder)
    assert left(folder) == ["new.txt"]


@pytest.mark.parametrize(
    "name", ["../out.txt", "/out.txt", "data/../../out.txt", "..\\out.txt", "C:\\out.txt"]
)
def test_a_path_that_leads_out_is_refused(kind, paths, name):
    archive, folder = paths
    WRITERS[kind](archive, {"good.txt": b"good", name: b"bad"})
    with pytest.raises(ValueError, match="leads out of its folder"):
        unpack(archive, folder)
    assert left(folder.parent) == [archive.name]
    assert left(folder.parent.parent) == ["home"]


@pytest.mark.parametrize("kind", ["tar.gz"])
@pytest.mark.parametrize("type_", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(paths, type_):
    archive, folder = paths
    write_tar(archive, {"link": b""}, type=type_, linkname="/etc/passwd")
    with pytest.raises(ValueError, match="'link' is no plain file or folder"):
        unpack(archive, folder)
    assert left(folder.parent) == [archive.name]


@pytest.mark.parametrize("kind", ["zip"])
def test_links_in_a_zip_are_refused(paths):
    archive, folder = paths
    write_zip(archive, {"link": b"/etc/passwd"}, external_attr=(stat.S_IFLNK | 0o777) << 16)
    with pytest.raises(ValueError, match="'link' is no plain file or folder"):
        unpack(archive, folder)
    assert left(folder.parent) == [archive.name]


@pytest.mark.parametrize("damage", [b"no archive", b""], ids=["other", "empty"])
def test_what_is_no_archive(kind, paths, damage):
    archive, folder = paths
    archive.write_bytes(damage)
    with pytest.raises(ValueError, match=r"is not a \.zip or \.tar\.gz file, or damaged"):
        unpack(archive, folder)
    assert left(folder.parent) == [archive.name]


def test_a_damaged_archive_leaves_nothing(kind, paths):
    archive, folder = paths
    WRITERS[kind](archive, {"data.txt": bytes(range(256)) * 4000})
    body = bytearray(archive.read_bytes())
    body[len(body) // 2] ^= 255
    archive.write_bytes(body)
    with pytest.raises(ValueError, match=r"is not a \.zip or \.tar\.gz file, or damaged"):
        unpack(archive, folder)
    assert left(folder.parent) == [archive.name]


def test_what_a_killed_process_left_is_removed(kind, paths):
    archive, folder = paths
    WRITERS[kind](archive)
    (folder.parent / ".unpacked.0123.new" / "data").mkdir(parents=True)
    unpack(archive, folder)
    assert left(folder.parent) == [archive.name, "unpacked"]


def test_contents_larger_than_the_disk(kind, paths, monkeypatch):
    archive, folder = paths
    WRITERS[kind](archive)
    needed = sum(map(len, FILES.values()))
    usage = shutil.disk_usage(folder.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    message = f"no room in .*home' for the contents of {archive.name}: {needed:,} bytes needed"
    with pytest.raises(OSError, match=message) as raised:
        unpack(archive, folder)
    assert raised.value.errno == errno.ENOSPC
    assert left(folder.parent) == [archive.name]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed))
    unpack(archive, folder)


def test_two_at_once_unpack_once(kind, paths, capsys):
    archive, folder = paths
    WRITERS[kind](archive, {"data.txt": bytes(1 << 22)})
    threads = [threading.Thread(target=unpack, args=(archive, folder, True)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (folder / "data.txt").stat().st_size == 1 << 22
    assert capsys.readouterr().err == f"[skrec] {archive.name}: unpacking\n"


@pytest.mark.parametrize(("umask", "modes"), [(0o022, (0o755, 0o644)), (0o002, (0o775, 0o664))])
def test_modes_follow_the_umask(kind, paths, umask, modes):
    archive, folder = paths
    WRITERS[kind](archive, **({"mode": 0o600} if kind == "tar.gz" else {}))
    before = os.umask(umask)
    try:
        unpack(archive, folder)
    finally:
        os.umask(before)
    found = [folder, *folder.rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in found if path.is_dir()} == {modes[0]}
    assert {path.stat().st_mode & 0o777 for path in found if path.is_file()} == {modes[1]}


@pytest.mark.parametrize("kind", ["zip"])
def test_an_encrypted_zip_is_named(paths):
    archive, folder = paths
    write_zip(archive)
    body = bytearray(archive.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = body.find(signature)
        while start >= 0:
            body[start + at] |= 1
            start = body.find(signature, start + 4)
    archive.write_bytes(body)
    with pytest.raises(ValueError, match=r"data.zip': 'data/a.txt' is encrypted"):
        unpack(archive, folder)
    assert left(folder.parent) == [archive.name]


@pytest.mark.parametrize("kind", ["zip"])
@pytest.mark.parametrize("method", [6, 12, 14, 93, 99])
def test_an_exotic_or_wrong_compression_is_named(paths, method):
    archive, folder = paths
    write_zip(archive)
    body = bytearray(archive.read_bytes())
    for signature, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        body[body.find(signature) + at] = method
    archive.write_bytes(body)
    with pytest.raises(ValueError, match=r"data.zip' is not a \.zip or \.tar\.gz file, or damaged"):
        unpack(archive, folder)
    assert left(folder.parent) == [archive.name]


@pytest.mark.parametrize(
    "files", [{"a": b"1", "a/b": b"2"}, {"a" * 300: b"1"}, {"d/": b"", "d": b""}]
)
def test_names_that_no_folder_can_have(kind, paths, files):
    archive, folder = paths
    WRITERS[kind](archive, files)
    try:
        unpack(archive, folder)
    except ValueError as error:
        assert str(archive) in str(error)
        assert left(folder.parent) == [archive.name]


@pytest.mark.parametrize("kind", ["tar.gz"])
@pytest.mark.parametrize("type_", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_would_fill_the_memory(paths, type_):
    archive, folder = paths
    with tarfile.open(archive, "w:gz") as packed:
        header = tarfile.TarInfo("header")
        header.type, header.size = type_, 3 << 20
        packed.addfile(header, io.BytesIO(b"1" * header.size))
        packed.addfile(tarfile.TarInfo("a.txt"))
    with pytest.raises(ValueError, match=r"data.tar.gz' is not .*, or damaged: a header of 3,145,"):
        unpack(archive, folder)
    assert left(folder.parent) == [archive.name]


@pytest.mark.parametrize("kind", ["tar.gz"])
def test_sizes_that_headers_only_claim(paths):
    archive, folder = paths
    with tarfile.open(archive, "w:gz", format=tarfile.PAX_FORMAT) as packed:
        info = tarfile.TarInfo("sparse")
        info.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 50)}
        packed.addfile(info)
    with pytest.raises(ValueError, match="'sparse' is no plain file or folder"):
        unpack(archive, folder)


def test_too_many_members(kind, paths, monkeypatch):
    archive, folder = paths
    WRITERS[kind](archive)
    monkeypatch.setattr("skrec.datasets._web.archives.MAX_MEMBERS", 1)
    with pytest.raises(ValueError, match=r"data\..*' has more than 1 members"):
        unpack(archive, folder)


def test_damage_anywhere_is_named_and_leaves_nothing(kind, paths):
    """Each byte of the archive is changed in turn."""
    archive, folder = paths
    WRITERS[kind](archive, {"a.txt": b"one" * 9})
    whole = archive.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 150)):
        archive.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            unpack(archive, folder)
        except ValueError as error:
            assert str(archive) in str(error)
            assert left(folder.parent) == [archive.name]
        shutil.rmtree(folder, ignore_errors=True)
