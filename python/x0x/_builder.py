"""An agent's options, step by step."""

from __future__ import annotations

from typing import Any, TypeVar

from ._errors import InvalidArgumentError
from ._options import AgentOptions, StrPath
from ._types import Visibility

B = TypeVar("B", bound="Builder")


class Builder:
    """Each with_* gives a new builder and uses up the one it was called on; so does build()."""

    def __init__(self, options: AgentOptions | None = None) -> None:
        self._options: AgentOptions | None = {} if options is None else options

    def with_name(self: B, name: str) -> B:
        """A persistent identity: 'alice' is HOME/.x0x-alice, 'default' HOME/.x0x."""
        return self._with(name=name)

    def with_machine_key(self: B, path: StrPath) -> B:
        """The machine key in an existing file."""
        return self._with(machine_key_path=path)

    def with_agent_key_path(self: B, path: StrPath) -> B:
        """The agent key in an existing file."""
        return self._with(agent_key_path=path)

    def with_agent_key(self: B, keypair: bytes, secret_key: bytes | None = None) -> B:
        """The agent key itself: a key file image of 6,000 bytes or a seed of 32, or the
        public and the secret key of 1,952 and 4,032 bytes as two arguments."""
        return self._with(agent_key=keypair if secret_key is None else (keypair, secret_key))

    def with_user_key(self: B, keypair: bytes, secret_key: bytes | None = None) -> B:
        """The key of the person behind the agent, as with_agent_key."""
        return self._with(user_key=keypair if secret_key is None else (keypair, secret_key))

    def with_user_key_path(self: B, path: StrPath) -> B:
        """The key of the person behind the agent in an existing file."""
        return self._with(user_key_path=path)

    def with_contact_store_path(self: B, path: StrPath) -> B:
        """The file of contacts."""
        return self._with(contacts_path=path)

    def with_network_id(self: B, network_id: str) -> B:
        return self._with(network_id=network_id)

    def with_visibility(self: B, visibility: Visibility | str | int) -> B:
        """To whom this agent says that it is online: 'network', 'social' or 'hidden'."""
        return self._with(visibility=visibility)

    def with_presence_beacon_interval(self: B, seconds: float) -> B:
        """How often it says so: the option presence_interval."""
        return self._with(presence_interval=seconds)

    def with_presence_offline_timeout(self: B, seconds: float) -> B:
        """When another agent is offline at the latest: the option presence_timeout."""
        return self._with(presence_timeout=seconds)

    def with_options(self: B, **options: Any) -> B:
        """Any options of Agent(...)."""
        return self._with(**options)

    def _with(self: B, **options: Any) -> B:
        taken: Any = self._take("Builder already consumed by build()")
        taken.update(options)
        return type(self)(taken)

    def _take(self, message: str) -> AgentOptions:
        options, self._options = self._options, None
        if options is None:
            raise InvalidArgumentError(message)
        return options

    def _finish(self) -> AgentOptions:
        return self._take("Builder already consumed by previous build() call")
