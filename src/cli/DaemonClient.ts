/** The running daemon as a command sees it: finding its socket, asking it, and saying what went wrong (cli §1.2). */
import { Effect, Result } from "effect"
import * as IpcClient from "../actors/ipc/IpcClient.ts"
import * as IpcError from "../actors/ipc/IpcError.ts"
import { RENDEZVOUS, UNAVAILABLE } from "../actors/ipc/IpcErrorText.ts"
import * as KeyText from "../actors/ipc/KeyText.ts"
import * as SocketPath from "../actors/ipc/SocketPath.ts"
import * as Json from "../core/data/Json.ts"
import { LocalSocket, type LocalSocketError } from "../core/net/LocalSocket.ts"
import * as Address from "../protocol/wire/Address.ts"
import * as CliError from "./CliError.ts"
import { CliHost } from "./CliHost.ts"
import type { Environment, Input } from "./Command.ts"
import * as ConfigFile from "./ConfigFile.ts"
import * as Terminal from "./Terminal.ts"

/** For command groups: what they ask, and how it fails. */
export type { IpcClient } from "../actors/ipc/IpcClient.ts"
export type { IpcError } from "../actors/ipc/IpcError.ts"

/** What decides where the daemon's socket is. */
export const socketOptions: Effect.Effect<SocketPath.Options, never, Environment> = Effect.gen(function* () {
  const { variables } = yield* CliHost
  const { config, home, isExplicit } = yield* ConfigFile.directory
  const configured = Json.string(yield* ConfigFile.read(config), "socket")
  return { variables, home, isHomeExplicit: isExplicit, configured: configured === "" ? undefined : configured }
})

/** A client of the running daemon. */
export const connect: Effect.Effect<IpcClient.IpcClient, CliError.CliError, Environment> = Effect.gen(function* () {
  const options = yield* socketOptions
  const { uid, effectiveUid } = yield* CliHost
  const local = yield* LocalSocket
  let refused: CliError.CliError | undefined
  for (const path of SocketPath.candidates(options)) {
    const tried = yield* Effect.result(local.connect(path, [uid, effectiveUid]))
    if (Result.isSuccess(tried))
      return yield* Effect.mapError(IpcClient.make(tried.success), (error) => failure("", error))
    // Another user's node at the shared path is nobody's mistake.
    const isForeign =
      path === SocketPath.COMPATIBLE && options.configured !== path && tried.failure.reason === "WrongOwner"
    if (tried.failure.reason !== "NotServed" && !isForeign) refused ??= socketFailure(tried.failure)
  }
  return yield* refused ?? notRunning
})

/** A request to the daemon, its failure in the words of the command. */
export const ask = <A, R>(
  command: string,
  request: Effect.Effect<A, IpcError.IpcError, R>
): Effect.Effect<A, CliError.CliError, R> => Effect.mapError(request, (error) => failure(command, error))

/** Connects, asks once, and leaves. */
export const once = <A>(
  command: string,
  use: (client: IpcClient.IpcClient) => Effect.Effect<A, IpcError.IpcError>
): Effect.Effect<A, CliError.CliError, Environment> => Effect.flatMap(connect, (client) => ask(command, use(client)))

/** `<command>: <label>: daemon: <its words>`; a changed key is always shown as what it is. */
export const failure = (command: string, error: IpcError.IpcError): CliError.CliError => {
  const changed = KeyText.parse(error.detail)
  if (changed !== undefined) return keyFailure(changed)
  if (error.detail.startsWith("unknown command:")) return tooOld
  const prefix = [command, error.operation].filter((word) => word !== "").join(": ")
  const unavailable = error.detail.indexOf(`registry: ${UNAVAILABLE}`)
  return CliError.make(
    error.reason === "Timeout" ? "timeout" : "connection_failed",
    `${prefix}: ${IpcError.describe(error)}`,
    unavailable < 0 ? undefined : "check that the registry is running; a local one: pilotctl rendezvous start"
  )
}

/** The daemon only carries a question to the registry, whose words it passes on (cli §4). */
export const registryFailure = (error: IpcError.IpcError): CliError.CliError => {
  const told = failure("", error)
  return error.reason === "Daemon" && told.code === "connection_failed"
    ? CliError.make(told.code, error.detail, told.hint)
    : told
}

/**
 * Both fingerprints, and the one way on (security rule 1). The hint does not fill in the offered one: whoever pastes it
 * unread would have compared nothing.
 */
export const keyFailure = (changed: NonNullable<ReturnType<typeof KeyText.parse>>): CliError.CliError => {
  const subject = changed._tag === "NameMoved" ? changed.name : String(changed.node)
  const what = changed._tag === "NameMoved" ? `the name ${JSON.stringify(subject)} leads to` : `node ${subject} shows`
  return CliError.make(
    "key_changed",
    `${what} another key: pinned ${changed.pinnedFingerprint}, offered ${changed.offeredFingerprint}`,
    `ask its owner for the fingerprint, on another way than this network; then: pilotctl trust accept-key ${subject} --fingerprint FINGERPRINT`
  )
}

/** A peer named on the command line: full address, decimal id, or a name that the daemon resolves (cli §1.2). */
export const target = Effect.fnUntraced(function* (
  client: IpcClient.IpcClient,
  input: Pick<Input, "json">,
  text: string
): Effect.fn.Return<Address.Address, CliError.CliError, Environment> {
  const literal = parse(text)
  if (literal !== undefined) return literal
  const found = yield* Effect.mapError(client.resolveHostname(text), (error) => unresolved(text, error))
  const address = Address.parse(Json.string(found, "address"))
  if (Result.isFailure(address)) return yield* unresolvable(text)
  yield* Terminal.note(input, `resolved ${JSON.stringify(text)} → ${Address.format(address.success)}`)
  return address.success
})

/** A literal peer: `0:0000.0000.0002` or `2`. */
export const parse = (text: string): Address.Address | undefined => {
  if (/^\d{1,10}$/.test(text) && Number(text) <= 0xffffffff) return Address.make(0, Number(text))
  const parsed = Address.parse(text)
  return Result.isSuccess(parsed) ? parsed.success : undefined
}

/** The error when no daemon answers. */
export const notRunning = CliError.make(
  "not_running",
  "daemon is not running",
  "start the daemon with: pilotctl daemon start"
)

const tooOld = CliError.make(
  "unavailable",
  "the running daemon does not know this operation",
  "restart it with this version: pilotctl daemon stop, then pilotctl daemon start"
)

/** Why a name has no address, key changes and unreachable registries told apart. */
export const unresolved = (text: string, error: IpcError.IpcError): CliError.CliError => {
  const told = failure("", error)
  const about = error.detail.indexOf(`: ${RENDEZVOUS}`)
  if (error.reason === "Daemon" && about >= 0)
    return CliError.make(
      "not_found",
      error.detail.slice(about + 2 + RENDEZVOUS.length),
      "see: pilotctl rendezvous list"
    )
  const isOther = error.reason !== "Daemon" || told.code === "key_changed" || told.hint !== undefined
  return isOther ? told : unresolvable(text)
}

const unresolvable = (text: string): CliError.CliError =>
  CliError.make(
    "not_found",
    `cannot resolve ${JSON.stringify(text)} — is the hostname correct and is there mutual trust? (see: pilotctl handshake)`
  )

/** What stands between a command and a socket. */
export const socketFailure = ({ reason, path, detail }: LocalSocketError): CliError.CliError => {
  switch (reason) {
    case "PathTooLong":
      return CliError.invalidArgument(
        `socket path is too long (${detail}): ${path}`,
        "set PILOT_HOME or PILOT_SOCKET to a shorter path"
      )
    case "WrongOwner":
      return CliError.make(
        "permission_denied",
        `socket ${path} ${detail}`,
        "start your own daemon: pilotctl daemon start"
      )
    case "PermissionDenied":
      return CliError.make("permission_denied", `no permission for socket ${path}`, "run the command as its owner")
    case "AlreadyServed":
      return CliError.make(
        "already_exists",
        `daemon is already running (socket ${path} is active)`,
        "stop it first with: pilotctl daemon stop"
      )
    case "DirectoryUnusable":
      return CliError.make(
        "internal",
        `cannot make the socket ${path}: ${detail}`,
        "choose another place with PILOT_HOME"
      )
    default:
      return CliError.make("connection_failed", `socket ${path}: ${detail}`)
  }
}
