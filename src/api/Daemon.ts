/** `Pilot` over the socket of a running daemon (architecture, decision 8). */
import { Cause, Effect, Option, Result, Schema, type Scope, Stream } from "effect"
import * as DialErrorText from "../actors/ipc/DialErrorText.ts"
import * as IpcClient from "../actors/ipc/IpcClient.ts"
import * as IpcError from "../actors/ipc/IpcError.ts"
import { UNAVAILABLE } from "../actors/ipc/IpcErrorText.ts"
import * as SocketPath from "../actors/ipc/SocketPath.ts"
import * as StateDirectory from "../actors/layers/StateDirectory.ts"
import { ConnectionReset, DialError, PingTimeout, PortInUse, resetCauses } from "../actors/node/Node.ts"
import type { JsonObject } from "../core/data/Json.ts"
import * as Json from "../core/data/Json.ts"
import type { Duplex } from "../core/net/Duplex.ts"
import { LocalSocket } from "../core/net/LocalSocket.ts"
import * as Identity from "../protocol/trust/Identity.ts"
import * as Address from "../protocol/wire/Address.ts"
import * as Connection from "./Connection.ts"
import * as Environment from "./Environment.ts"
import { type Pilot, PilotError, type PublicCard } from "./PilotService.ts"
import * as Why from "./Why.ts"

/** Which daemon; by default the one `pilotctl` would ask. */
export interface Options {
  /** Its state directory; `PILOT_HOME`, else `~/.pilot`. */
  readonly home?: string
  /** Its socket, if it is elsewhere than in the usual places. */
  readonly socket?: string
  /** The `pilotctl.js` that a keeper is started from, if it is not the one of this package (`Mcp.expose`). */
  readonly pilotctl?: string
}

/** The service. Every call opens a socket of its own, so that a slow dial holds up nothing. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Pilot["Service"], PilotError, LocalSocket> {
  const local = yield* LocalSocket
  const paths = yield* candidates(options)
  const open = Effect.provideService(connect(paths), LocalSocket, local)
  const asking = <A>(ask: (client: IpcClient.IpcClient) => Effect.Effect<A, IpcError.IpcError>) =>
    Effect.scoped(Effect.flatMap(open, (client) => Effect.mapError(ask(client), pilotError)))
  const bind: Pilot["Service"]["bind"] = (port, settings) =>
    Effect.map(
      Effect.flatMap(open, (client) => accepting(client, port)),
      Stream.mapEffect((connection) => Connection.configured(connection, settings))
    )
  const locate = (target: string, how = {}) => Effect.scoped(Effect.flatMap(open, locateBy(target, how)))

  return {
    info: asking((client) => client.info).pipe(
      Effect.flatMap((reply) => decoded(InfoReply, reply)),
      Effect.map((reply) => ({
        address: reply.address,
        node: reply.node_id,
        hostname: reply.hostname,
        fingerprint: reply.fingerprint,
        uptimeSeconds: reply.uptime_secs
      }))
    ),
    resolve: (target) =>
      Effect.map(locate(target), ({ address, fingerprint, hostname, node_id, public_key }) => ({
        address,
        node: node_id,
        hostname,
        publicKey: public_key,
        fingerprint
      })),
    dial: Effect.fn("Pilot.dial")(function* (target, port, settings) {
      const client = yield* open
      const timeoutMs = settings?.timeoutMs ?? DIAL_TIMEOUT_MS
      const dialled = yield* client.dialTarget(target, Address.Port(port), settings?.timeoutMs).pipe(
        Effect.catchIf(isUnknown, () => dialByNode(client, target, port)),
        Effect.mapError((error) => (error._tag === "IpcError" ? dialError(error, target) : error)),
        Effect.timeoutOrElse({
          duration: timeoutMs,
          orElse: () => new DialError({ reason: "Timeout", target, detail: "no answer in time" })
        })
      )
      return yield* Connection.configured(fromIpc(dialled), settings)
    }),
    keyScheme: (target) => Effect.map(locate(target, RECENT), ({ key_scheme }) => key_scheme ?? "legacy"),
    trusted: asking((client) => client.extension("trust.keys", {})).pipe(
      Effect.map((reply) =>
        Json.objects(reply, "trusted").flatMap((row) => {
          const publicKey = Identity.decodePublicKey(Json.string(row, "public_key"))
          return publicKey === undefined ? [] : [{ node: Json.unsigned(row, "node_id", 32), publicKey }]
        })
      )
    ),
    publicCards: (question) =>
      Effect.map(
        asking((client) => client.extension("card.search", question)),
        (reply) => Json.objects(reply, "cards").map(publicCard)
      ),
    bind,
    listen: (port, settings) => Stream.scoped(Stream.unwrap(bind(port, settings))),
    identify: Effect.fnUntraced(function* (remote) {
      const trusted = yield* asking((client) => client.extension("trust.keys", {}))
      const found = yield* Effect.option(Effect.timeout(locate(remote, RECENT), NAME_TIMEOUT))
      return identityOf(remote, Json.objects(trusted, "trusted"), Option.getOrUndefined(found))
    }),
    why: Effect.fn("Pilot.why")(function* (target) {
      const { node_id } = yield* locate(target, RECENT)
      return Why.ofReply(yield* asking((client) => client.extension("why", { node: node_id })))
    }),
    ping: Effect.fn("Pilot.ping")(function* (target, settings) {
      const { node_id } = yield* locate(target, RECENT)
      const timeoutMs = settings?.timeoutMs ?? PING_TIMEOUT_MS
      const pong = yield* Effect.scoped(
        Effect.flatMap(open, (client) =>
          Effect.mapError(client.extension("ping", { node: node_id, timeout_ms: timeoutMs }), (error) =>
            pingError(error, target)
          )
        )
      )
      const { rtt_ms } = yield* decoded(PingReply, pong)
      const { path } = yield* locate(target, RECENT)
      return { rttMs: rtt_ms, path }
    })
  }
})

/** A name counts only if the registry gives it to the key that is trusted. */
const identityOf = (
  remote: string,
  trusted: ReadonlyArray<JsonObject>,
  found: typeof PeerReply.Type | undefined
): Effect.Success<ReturnType<Pilot["Service"]["identify"]>> => {
  const { node } = Result.getOrElse(Address.parse(remote), () => Address.make(0, 0))
  const row = trusted.find((one) => Json.unsigned(one, "node_id", 32) === node) ?? {}
  const publicKey = Json.string(row, "public_key")
  return {
    node,
    address: Address.format(Address.make(0, node)),
    hostname: publicKey !== "" && found?.public_key === publicKey ? found.hostname : "",
    fingerprint: Json.string(row, "fingerprint"),
    publicKey,
    keys: publicKey === "" ? [] : [publicKey, ...Json.strings(row, "former_keys")]
  }
}

/** In three questions, as a daemon of an earlier version wants them. */
const dialByNode = Effect.fnUntraced(function* (client: IpcClient.IpcClient, target: string, port: number) {
  yield* client.knowEnds
  const { node_id } = yield* locateBy(target)(client)
  return yield* client.dial(Address.make(0, node_id), Address.Port(port))
})

const isUnknown = ({ detail, reason }: IpcError.IpcError): boolean =>
  reason === "Daemon" && /^unknown (operation|command):/.test(detail)

const publicCard = (row: Json.JsonObject): PublicCard => {
  const signed = Json.member(row, "signed")
  return {
    node: Json.unsigned(row, "node_id", 32),
    hostname: Json.string(row, "hostname"),
    signed: Json.isObject(signed) ? signed : {},
    pinned: Identity.decodePublicKey(Json.string(row, "pinned"))
  }
}

const locateBy =
  (target: string, how: JsonObject = {}) =>
  (client: IpcClient.IpcClient) =>
    client.extension("peer", { ...how, target }).pipe(
      Effect.mapError((error) => resolveError(error, target)),
      Effect.flatMap((reply) => decoded(PeerReply, reply))
    )

/** A connected client of the first daemon that answers. */
const connect = Effect.fnUntraced(function* (paths: ReadonlyArray<string>) {
  const local = yield* LocalSocket
  let last: PilotError | undefined
  for (const path of paths) {
    const attempt = yield* Effect.result(Effect.flatMap(local.connect(path, owners()), IpcClient.make))
    if (attempt._tag === "Success") return attempt.success
    last ??= new PilotError({ reason: "NotRunning", detail: `${path}: ${attempt.failure.detail}` })
  }
  return yield* last ?? new PilotError({ reason: "NotRunning", detail: "daemon is not running" })
})

/** Opens a socket to the daemon, for whoever asks more than `Pilot` does. */
export const client = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Effect.Effect<IpcClient.IpcClient, PilotError, Scope.Scope>, never, LocalSocket> {
  const local = yield* LocalSocket
  return Effect.provideService(connect(yield* candidates(options)), LocalSocket, local)
})

/** The state directory of the daemon. */
export const places = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<StateDirectory.StateDirectory> {
  const variables = yield* Environment.read
  return StateDirectory.resolve({
    variables: { PILOT_HOME: options.home ?? variables.PILOT_HOME },
    homeDirectory: variables.HOME ?? "."
  })
})

/** All that the daemon knows of a peer. */
export const peer = (
  options: Options,
  target: string
): Effect.Effect<JsonObject, DialError | PilotError, LocalSocket> =>
  Effect.gen(function* () {
    const client = yield* connect(yield* candidates(options))
    return yield* Effect.mapError(client.extension("peer", { target }), (error) => resolveError(error, target))
  }).pipe(Effect.scoped)

const candidates = Effect.fnUntraced(function* (options: Options) {
  const variables = yield* Environment.read
  const directory = yield* places(options)
  return SocketPath.candidates({
    variables: options.home === undefined ? { ...variables } : {},
    home: directory.home,
    isHomeExplicit: directory.isExplicit,
    configured: options.socket
  })
})

/** Everything the daemon pushes for one bound port; what is still open when the stream ends is closed. */
const accepting = Effect.fnUntraced(function* (client: IpcClient.IpcClient, port: number) {
  yield* Effect.mapError(client.knowEnds, pilotError)
  const listener = yield* Effect.mapError(client.bind(Address.Port(port)), (error) =>
    error.reason === "Daemon" ? new PortInUse({ port }) : pilotError(error)
  )
  return Stream.fromPull(
    Effect.succeed(
      Effect.map(Effect.mapError(listener.accept, pilotError), (connection) => [fromIpc(connection)] as const)
    )
  )
})

const fromIpc = (connection: IpcClient.IpcConnection): Connection.Connection => {
  const duplex: Duplex<ConnectionReset> = {
    read: Effect.mapError(connection.read, (error) => (Cause.isDone(error) ? error : connectionReset(error))),
    write: (bytes) => Effect.mapError(connection.write(bytes), connectionReset),
    end: connection.endWriting
  }
  return Connection.fromDuplex(duplex, {
    close: connection.end,
    setNoDelay: connection.setNoDelay,
    remote: Address.format(connection.remote),
    remotePort: connection.remotePort,
    localPort: connection.localPort
  })
}

/** A lost daemon has taken its streams along. */
const connectionReset = ({ detail, reason }: IpcError.IpcError): ConnectionReset => {
  if (reason === "Closed") return new ConnectionReset({ reason: "Closed" })
  if (reason !== "Reset") return new ConnectionReset({ reason: "NodeStopped" })
  return new ConnectionReset({ reason: resetCauses.find((cause) => cause === detail) ?? "PeerReset" })
}

const decoded = <A, I>(schema: Schema.Codec<A, I>, reply: unknown): Effect.Effect<A, PilotError> =>
  Effect.mapError(
    Schema.decodeUnknownEffect(schema)(reply),
    (error) => new PilotError({ reason: "Refused", detail: `the daemon's answer is not understood: ${error.message}` })
  )

const pilotError = (error: IpcError.IpcError): PilotError =>
  new PilotError({
    reason: error.reason === "NotRunning" || error.reason === "Disconnected" ? error.reason : "Refused",
    detail: IpcError.describe(error)
  })

const dialError = (error: IpcError.IpcError, target: string): DialError | PilotError => {
  if (error.reason !== "Daemon") return pilotError(error)
  return FINDING.test(error.detail) ? resolveError(error, target) : DialErrorText.parse(error.detail, target)
}

const resolveError = (error: IpcError.IpcError, target: string): DialError | PilotError => {
  if (error.reason !== "Daemon") return pilotError(error)
  const reason = /key changed/.test(error.detail)
    ? "KeyChanged"
    : /name moved/.test(error.detail)
      ? "NameMoved"
      : error.detail.includes(`registry: ${UNAVAILABLE}`)
        ? "RegistryUnavailable"
        : "NotFound"
  return new DialError({ reason, target, detail: error.detail })
}

const pingError = (error: IpcError.IpcError, target: string): DialError | PingTimeout | PilotError =>
  error.reason === "Daemon" && error.detail.startsWith("ping: no answer")
    ? new PingTimeout({ target })
    : dialError(error, target)

/** Whose sockets are believed: the user's own only. */
export const owners = (): ReadonlyArray<number> => {
  const uid = globalThis.process?.getuid?.()
  return uid === undefined ? [] : [uid]
}

const InfoReply = Schema.Struct({
  address: Schema.String,
  node_id: Schema.Finite,
  hostname: Schema.String,
  fingerprint: Schema.String,
  uptime_secs: Schema.Finite
})

const PeerReply = Schema.Struct({
  address: Schema.String,
  node_id: Schema.Finite,
  hostname: Schema.String,
  public_key: Schema.String,
  fingerprint: Schema.String,
  path: Schema.Literals(["direct", "relay", "none"]),
  key_scheme: Schema.optionalKey(Schema.Literals(["legacy", "later"]))
})

const PingReply = Schema.Struct({ rtt_ms: Schema.Finite })

/** The commands that find a peer, at the beginning of their refusals. */
const FINDING = /^(resolve_hostname|lookup|peer): /
/** What the daemon found a moment ago will do. */
const RECENT = { recent: true }
/** A little more than a daemon takes to give up by itself. */
const DIAL_TIMEOUT_MS = 35_000
const PING_TIMEOUT_MS = 5_000
/** A registry that keeps silent must not keep a call waiting. */
const NAME_TIMEOUT = "2 seconds"
