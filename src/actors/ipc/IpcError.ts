/** Why the daemon could not be asked, or what it answered instead (node §1.4, cli §1.2). */
import { Schema } from "effect"

/** `operation` is the label that error texts carry (cli §1.2): `info`, `dial`, `resolve_hostname` … */
export class IpcError extends Schema.TaggedError<IpcError>()("IpcError", {
  reason: Schema.Literals([
    /** Nobody serves any of the paths. */
    "NotRunning",
    /** The socket was lost; whatever was asked may or may not have happened. */
    "Disconnected",
    /** The daemon refused; `detail` is its text. */
    "Daemon",
    /** No reply in time. */
    "Timeout",
    /** A reply that cannot be read. */
    "BadReply",
    /** The stream was closed on this side. */
    "Closed",
    /** The stream was reset; `detail` is the reason that a `ConnectionReset` has. */
    "Reset",
    "SocketPathTooLong",
    "PermissionDenied",
    /** The socket belongs to another user. */
    "WrongOwner"
  ]),
  operation: Schema.String,
  detail: Schema.String
}) {}

/** The text after the operation's label: `daemon: <its words>` or `daemon disconnected` (cli §1.2). */
export const describe = ({ reason, detail }: IpcError): string => {
  switch (reason) {
    case "Daemon":
      return `daemon: ${detail}`
    case "Disconnected":
      return "daemon disconnected"
    case "Timeout":
      return `no answer from the daemon within ${detail}`
    default:
      return detail
  }
}
