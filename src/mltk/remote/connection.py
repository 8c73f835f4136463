"""One SSH connection: host keys checked, no agent forwarded, one sentence for whatever is wrong."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mltk.remote.errors import RemoteError, UnreachableError
from mltk.remote.target import Target
from mltk.utils.errors import MissingExtraError
from mltk.utils.text import printable

if TYPE_CHECKING:
    import asyncssh

MAGIC = b"\0mltk-agent-1\n"  # agent.py has the same; it can not be imported on Windows
CONNECT_SECONDS = 20.0
LOGIN_SECONDS = 30.0
# A link that is dead but not closed is noticed after the product.
KEEPALIVE_SECONDS = 15.0
KEEPALIVE_COUNT = 4

MAX_FRAME = 1 << 24
_MAX_BANNER = 1 << 16
_MAX_COMPLAINT = 1 << 14
_OTHER_HOST_KEYS = (
    "+ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"
)
_SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"

Result = TypeVar("Result")
Frames = AsyncIterator[bytes]


def frame(kind: bytes, payload: bytes) -> bytes:
    """Return a frame of the agent's protocol."""
    return kind + struct.pack(">I", len(payload)) + payload


def json_frame(kind: bytes, content: Any) -> bytes:
    """Return a frame that holds JSON."""
    return frame(kind, json.dumps(content).encode())


class Connection:
    """A connection that is used from ordinary code: each call runs the event loop until it is done.

    Ctrl-C ends a call with KeyboardInterrupt and leaves the connection usable.
    """

    def __init__(self, target: Target) -> None:
        """Connect and log in.

        Raises:
            MissingExtraError: the extra 'ssh' is not installed.
            UnreachableError: nobody answers now.
            RemoteError: the host's key is unknown or another one than before, or the login is refused.

        """
        try:
            import asyncssh
        except ImportError as error:
            raise MissingExtraError("ssh", "mltk ssh") from error
        # What it logs is told by the errors that it raises.
        asyncssh.set_log_level("CRITICAL")
        self._asyncssh: Any = asyncssh
        self.target = target
        self._runner = asyncio.Runner()
        self._connection: asyncssh.SSHClientConnection | None = None
        try:
            self._connection = self._run(self._connect())
        finally:
            if self._connection is None:
                self._runner.close()

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
            self._runner.close()

    def exchange(
        self,
        command: str,
        source: Callable[[], Frames],
        sink: Callable[[bytes], None],
    ) -> dict[str, Any]:
        """Run the agent on the other side with one request.

        Args:
            command: what the login shell there is told.
            source: gives the frames to send.
            sink: is given the payload of each D frame.

        Returns:
            The content of the agent's last frame.

        Raises:
            UnreachableError: the connection is gone.
            RemoteError: what the agent says, or there is no Python to run it.

        """
        return self._run(self._exchange(command, source, sink))

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)

    # --- connecting ---

    async def _connect(self) -> "asyncssh.SSHClientConnection":
        target, ssh = self.target, self._asyncssh
        keys = _KnownKeys(ssh)
        try:
            options = self._options(keys)
            async with asyncio.timeout(CONNECT_SECONDS + LOGIN_SECONDS):
                made = await ssh.create_connection(keys.client, target.host, config=None, options=options)
        except socket.gaierror as error:
            raise UnreachableError(f"There is no machine with the name '{target.host}': check -h") from error
        except ConnectionRefusedError as error:
            raise UnreachableError(
                f"{self._where()} refuses connections: is an SSH server running there, at this port (-p)?"
            ) from error
        except TimeoutError as error:
            raise UnreachableError(f"{self._where()} does not answer: check the host and the port") from error
        except ssh.PermissionDenied as error:
            raise RemoteError(
                f"{self._where()} does not let you in ({printable(error.reason)}): check the user name, and "
                "that your key is in authorized_keys there (-i FILE, or an agent that holds it)"
            ) from error
        except (ssh.HostKeyNotVerifiable, ssh.KeyExchangeFailed) as error:
            raise keys.explain(self._where(), error) from error
        except ssh.ConnectionLost as error:
            raise UnreachableError(f"{self._where()} hung up: {printable(error.reason)}") from error
        except (ssh.Error, ssh.ConfigParseError) as error:
            raise RemoteError(
                f"Can not connect to {self._where()} because of this: {printable(str(error))}"
            ) from error
        except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError) as error:
            # A reset ends here or as ConnectionLost, whichever layer sees it first: one sentence for both.
            raise UnreachableError(f"{self._where()} hung up: {error.strerror or error}") from error
        except OSError as error:
            raise UnreachableError(
                f"Can not connect to {self._where()} because of this: {error.strerror or error}"
            ) from error
        connection: asyncssh.SSHClientConnection = made[0]
        return connection

    def _options(self, keys: "_KnownKeys") -> "asyncssh.SSHClientConnectionOptions":
        ssh, target = self._asyncssh, self.target
        given: dict[str, Any] = {"host": target.host, "config": _configuration(target.config_path)}
        if target.port is not None:
            given["port"] = target.port
        if target.user is not None:
            given["username"] = target.user
        configured = ssh.SSHClientConnectionOptions(**given)
        defaults = dict(target.defaults)
        identity = target.identity
        if identity is None and not configured.config.get("IdentityFile"):
            identity = defaults.get("key_filename")
        if target.port is None and configured.config.get("Port") is None and "port" in defaults:
            given["port"] = defaults["port"]
        if target.user is None and configured.config.get("User") is None and "username" in defaults:
            given["username"] = defaults["username"]
        if identity is not None:
            given["client_keys"] = [self._key(identity)]
        self._address = (configured.host, given.get("port") or configured.port)
        if configured.known_hosts is None:
            raise RemoteError(
                f"The SSH configuration turns the check of {target.host}'s key off (UserKnownHostsFile none): "
                "take that line out, mltk always checks it"
            )
        keys.read(configured.known_hosts)
        if configured.config.get("HostKeyAlgorithms") is None:
            # Behind those of the known keys: a host whose key is of another kind now is told as changed, too.
            given["server_host_key_algs"] = _OTHER_HOST_KEYS
        options: asyncssh.SSHClientConnectionOptions = ssh.SSHClientConnectionOptions(
            **given,
            known_hosts=keys.match,
            agent_forwarding=False,
            x11_forwarding=False,
            connect_timeout=CONNECT_SECONDS,
            login_timeout=LOGIN_SECONDS,
            keepalive_interval=KEEPALIVE_SECONDS,
            keepalive_count_max=KEEPALIVE_COUNT,
        )
        return options

    def _key(self, path: str) -> str:
        file = _existing(path, "private key")
        try:
            self._asyncssh.read_private_key(file)
        except self._asyncssh.KeyEncryptionError as error:
            raise RemoteError(_protected(file)) from error
        except self._asyncssh.KeyImportError as error:
            if "assphrase" in str(error):
                raise RemoteError(_protected(file)) from error
            raise RemoteError(f"{file} is not a private key that can be used: {error}") from error
        except OSError as error:
            raise RemoteError(f"Can not read the private key {file}: {error.strerror or error}") from error
        return file

    def _where(self) -> str:
        host, port = getattr(self, "_address", (self.target.host, self.target.port or 22))
        alias = "" if host == self.target.host else f"{self.target.host} = "
        return f"{alias}{host}, port {port},"

    # --- requests ---

    async def _exchange(
        self, command: str, source: Callable[[], Frames], sink: Callable[[bytes], None]
    ) -> dict[str, Any]:
        ssh = self._asyncssh
        assert self._connection is not None
        try:
            process = await self._connection.create_process(command, encoding=None, request_pty=False)
        except (ssh.Error, OSError) as error:
            raise UnreachableError(f"The connection to {self._where()} is gone: {error}") from error
        sender = asyncio.ensure_future(self._send(process.stdin, source))
        complaint = asyncio.ensure_future(_start_of(process.stderr))
        answer = asyncio.ensure_future(self._answer(process, complaint, sink))
        try:
            await asyncio.wait({answer, sender}, return_when=asyncio.FIRST_COMPLETED)
            if sender.done():
                sender.result()  # a file here that can not be read
            return await answer
        except (ssh.Error, OSError) as error:
            raise UnreachableError(f"The connection to {self._where()} was cut: {error}") from error
        finally:
            for task in (sender, complaint, answer):
                task.cancel()
            await asyncio.gather(sender, complaint, answer, return_exceptions=True)
            process.close()

    async def _send(self, stdin: "asyncssh.SSHWriter[bytes]", source: Callable[[], Frames]) -> None:
        try:
            async for data in source():
                stdin.write(data)
                await stdin.drain()
            stdin.write_eof()
        except (self._asyncssh.Error, OSError):
            pass  # the reading side tells what happened

    async def _answer(
        self,
        process: "asyncssh.SSHClientProcess[bytes]",
        complaint: Awaitable[bytes],
        sink: Callable[[bytes], None],
    ) -> dict[str, Any]:
        try:
            await _skip_to_magic(process.stdout)
            while True:
                kind, payload = await _read_frame(process.stdout)
                if kind == b"D":
                    sink(payload)
                elif kind == b"R":
                    return _object(payload)
                elif kind == b"X":
                    raise RemoteError(
                        f"{self.target.host}: {printable(str(_object(payload).get('message', '')))}"
                    )
        except asyncio.IncompleteReadError as error:
            raise await self._ended_early(process, complaint) from error
        except ValueError as error:
            raise RemoteError(
                f"{self._where()} answers with something else than the agent's frames: {error}"
            ) from error

    async def _ended_early(
        self, process: "asyncssh.SSHClientProcess[bytes]", complaint: Awaitable[bytes]
    ) -> RemoteError:
        """Tell a cut connection from a program that failed."""
        await process.wait_closed()
        if process.exit_status is None:
            return UnreachableError(f"The connection to {self._where()} was cut")
        told = (await complaint).decode("utf-8", "replace").strip().splitlines()
        reason = printable(told[-1]) if told else "without a word"
        if process.exit_status in (126, 127) or "not found" in reason:
            return RemoteError(
                f"There is no Python to run on {self.target.host} ({reason}): set 'python' below 'ssh' in "
                "user_settings.yaml to one that is there"
            )
        return RemoteError(f"Python on {self.target.host} ended with {process.exit_status}: {reason}")


class _KnownKeys:
    """The host keys that the user trusts, and the one that came."""

    def __init__(self, ssh: Any) -> None:
        self._ssh = ssh
        self._files: list[str] = []
        self._known = False
        self._presented: Any = None

    def read(self, files: Any) -> None:
        """Take the files that the configuration names, else ~/.ssh/known_hosts, and the system's."""
        named = [files] if isinstance(files, str) else [name for name in files or () if isinstance(name, str)]
        paths = [Path(name).expanduser() for name in named] or [Path.home() / ".ssh" / "known_hosts"]
        paths.append(Path(_SYSTEM_KNOWN_HOSTS))
        self._files = [str(path) for path in paths if path.is_file()]

    def match(self, host: str, address: str, port: int | None) -> Any:
        """Return what asyncssh asks for: the keys that are trusted or revoked for a host."""
        try:
            found = self._ssh.match_known_hosts(self._files or b"", host, address, port)
        except ValueError as error:
            raise RemoteError(f"{', '.join(self._files)} can not be read as known hosts: {error}") from error
        self._known = bool(found[0])
        return found

    def client(self) -> "asyncssh.SSHClient":
        """Return what sees a key that is not trusted."""
        keys = self

        class Client(self._ssh.SSHClient):  # type: ignore[misc,name-defined]
            def validate_host_public_key(self, host: str, addr: str, port: int, key: Any) -> bool:
                keys._presented = key
                return False

        client: asyncssh.SSHClient = Client()
        return client

    def explain(self, where: str, error: Exception) -> RemoteError:
        """Return the error for a host key that was not accepted."""
        reason = printable(str(error))
        if "evoked" in reason:
            return RemoteError(
                f"The key of {where} is marked as revoked in known_hosts: do not use this host"
            )
        if self._known and (self._presented is not None or "key alg" in reason.lower()):
            shown = "" if self._presented is None else f" (now {self._fingerprint()})"
            return RemoteError(
                f"The key of {where} is not the one in known_hosts{shown}: somebody may be in between; if the "
                "host's key was changed on purpose, take the old one out (ssh-keygen -R) and ssh there once"
            )
        if self._presented is not None:
            return RemoteError(
                f"The key of {where} is not known ({self._fingerprint()}): ssh there once and, if that is its "
                "fingerprint, say yes, which puts it into ~/.ssh/known_hosts"
            )
        return RemoteError(f"No key could be agreed on with {where} {reason}")

    def _fingerprint(self) -> str:
        return f"{self._presented.get_algorithm()} {self._presented.get_fingerprint()}"


def _configuration(path: str | None) -> list[str]:
    if path is not None:
        return [_existing(path, "SSH configuration")]
    default = Path.home() / ".ssh" / "config"
    return [str(default)] if default.is_file() else []


def _protected(file: str) -> str:
    return (
        f"The private key {file} is protected by a passphrase: hand it to your agent first (ssh-add {file})"
    )


def _existing(path: str, what: str) -> str:
    file = Path(path).expanduser()
    if not file.is_file():
        raise RemoteError(f"There is no {what} at {file}: check the path")
    return str(file)


def _object(payload: bytes) -> dict[str, Any]:
    content = json.loads(payload)
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    return content


async def _start_of(stream: "asyncssh.SSHReader[bytes]") -> bytes:
    """Return the beginning of what a program complains, and read the rest too, so that it does not block."""
    text = b""
    while True:
        data = await stream.read(4096)
        if not data:
            return text
        text = (text + data)[-_MAX_COMPLAINT:]


async def _skip_to_magic(stream: "asyncssh.SSHReader[bytes]") -> None:
    seen = 0
    while True:
        piece = await stream.readuntil(b"\n")
        if piece.endswith(MAGIC):
            return
        seen += len(piece)
        if seen > _MAX_BANNER:
            raise ValueError("a login script prints without end")


async def _read_frame(stream: "asyncssh.SSHReader[bytes]") -> tuple[bytes, bytes]:
    head = await stream.readexactly(5)
    size = struct.unpack(">I", head[1:])[0]
    if size > MAX_FRAME:
        raise ValueError(f"a frame of {size} bytes")
    return head[:1], await stream.readexactly(size) if size else b""
