/** `pilotctl mcp mount PEER/NAME --http HOST:PORT`: a service of a peer as a local HTTP endpoint (mcp §6.5). */
import { Clock, Effect, Layer, Logger } from "effect"
import { HttpMiddleware } from "effect/http"
import * as EdgeDoor from "../../actors/mcp/edge/EdgeDoor.ts"
import * as HttpEdge from "../../actors/mcp/edge/HttpEdge.ts"
import * as SseEdge from "../../actors/mcp/edge/SseEdge.ts"
import type * as Instances from "../../actors/mcp/mount/Instances.ts"
import * as Target from "../../actors/mcp/Target.ts"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import * as NodeHttpListener from "../../core/net/NodeHttpListener.ts"
import * as StateFile from "../../core/storage/StateFile.ts"
import * as CliError from "../CliError.ts"
import type { Environment, Input } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as LocalToken from "../LocalToken.ts"
import * as LongLived from "../LongLived.ts"
import * as Telemetry from "../Telemetry.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import * as McpConnect from "./McpConnect.ts"
import * as McpTargets from "./McpTargets.ts"
import * as MountDoor from "./MountDoor.ts"
import * as MountEgress from "./MountEgress.ts"
import * as MountMetrics from "./MountMetrics.ts"

/** Serves a service of one or several peers until a signal comes. */
export const run = Effect.fnUntraced(
  function* (
    targets: Target.Targets,
    at: string,
    pinText: string,
    input: Input
  ): Effect.fn.Return<never, CliError.CliError, Environment | Crypto> {
    const pins = yield* McpConnect.guards(pinText)
    const instances = yield* McpTargets.open(targets, input)
    const lists = yield* McpConnect.lists
    const board = yield* MountDoor.open({ serves: at, instances: instances.seen })
    return yield* serve({ ...instances, lists, pins, board }, at, input, Target.format(targets))
  },
  Effect.scoped,
  Effect.provide(Layer.merge(NativeCrypto.layer, Layer.succeed(Logger.LogToStderr, true)))
)

/** Serves what `edge` leads to, which people know as `label`, until a signal comes. */
export const serve = Effect.fnUntraced(function* (
  edge: Pick<HttpEdge.Options<unknown>, "connect" | "pins" | "lists" | "board"> & Instances.Instances<unknown>,
  at: string,
  input: Input,
  label = Target.format([edge.target])
): Effect.fn.Return<never, CliError.CliError, Environment> {
  const detachAfter = yield* McpConnect.detachAfter(input)
  const place = Endpoint.parse(at)
  if (place === undefined)
    return yield* CliError.invalidArgument(`invalid --http ${JSON.stringify(at)}`, "127.0.0.1:7070")
  const isOpen = Values.boolean(input, "no-token") === true
  if (!LOOPBACK.test(place.host)) {
    if (Values.boolean(input, "allow-remote") !== true) {
      return yield* CliError.invalidArgument(
        `${place.host} can be reached from other machines`,
        "use 127.0.0.1, or --allow-remote if that is wanted"
      )
    }
    if (isOpen)
      return yield* CliError.invalidArgument(
        "--no-token and --allow-remote exclude each other",
        "other machines need the token"
      )
  }
  yield* LongLived.begin
  return yield* Effect.gen(function* () {
    const listener = yield* Effect.mapError(NodeHttpListener.listen(place), ({ detail, reason }) =>
      CliError.make(
        reason === "PortInUse" ? "already_exists" : "internal",
        `cannot listen at ${at}: ${detail}`,
        "choose another port, or 0 for a free one"
      )
    )
    const { port } = listener.local
    const tokenFile = isOpen ? undefined : yield* LocalToken.keep("mcp-http.token")
    const hosts = new Set([...names(place.host).map((name) => `${name}:${port}`), ...Values.texts(input, "allow-host")])
    const origins = [...[...hosts].map((host) => `http://${host}`), ...Values.texts(input, "allow-origin")]
    const lower = (texts: Iterable<string>) => new Set([...texts].map((text) => text.toLowerCase()))
    const door = { hosts: lower(hosts), origins: lower(origins), token: tokenFile?.token }
    const isModernOnly = Values.boolean(input, "modern-client") === true
    // Who opens the server counts its calls, and has rules of its own for each of its services.
    const isPlain = edge.connect === undefined
    const metrics = isPlain ? yield* MountMetrics.open(Values.text(input, "metrics")) : undefined
    const egress = isPlain ? yield* MountEgress.open(input) : undefined
    const isKept = isPlain && typeof detachAfter !== "number" && place.port !== 0
    const state = isKept ? yield* openState(place) : undefined
    const isSse = Values.boolean(input, "legacy-sse") === true
    yield* HttpEdge.serve(listener.server, {
      ...{ ...edge, door, isModernOnly, isSse, detachAfter, egress },
      ...(metrics && { metrics }),
      ...(state && { state })
    })
    yield* Terminal.printError(
      `serving ${label} at http://${Endpoint.format(listener.local)}${EdgeDoor.PATH}\n` +
        (isSse ? `HTTP+SSE at http://${Endpoint.format(listener.local)}${SseEdge.SSE_PATH}\n` : "") +
        (tokenFile === undefined ? "no token is needed\n" : `token in ${tokenFile.path}\n`)
    )
    return yield* Effect.never
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(
        NativeCrypto.layer,
        Telemetry.layer("pilot-mount", Values.text(input, "otlp")),
        // A span per HTTP request would stand beside those of the calls and belong to none of their traces.
        Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true),
        Layer.succeed(Logger.LogToStderr, true)
      )
    )
  )
})

/**
 * Where the sessions of the endpoint at that place outlive this process. The port is this process's own, and so is the
 * file; without it, everything works but that.
 */
const openState = Effect.fnUntraced(function* ({ host, port }: Endpoint.Endpoint) {
  const { home } = yield* ConfigFile.directory
  yield* ConfigFile.makeHome(home)
  const clock = yield* Clock.Clock
  const path = `${home}/mcp-http-${host.replaceAll(/[^A-Za-z0-9.]/g, "_")}-${port}.db`
  return yield* StateFile.open(path, {
    bytesMax: STATE_BYTES_MAX,
    nowMs: () => clock.currentTimeMillisUnsafe()
  }).pipe(
    Effect.catch(({ detail }) =>
      Effect.as(Terminal.printError(`sessions will end with this process: ${path}: ${detail}\n`), undefined)
    )
  )
})

/** The ways to write a host in a URL. */
const names = (host: string): ReadonlyArray<string> =>
  LOOPBACK.test(host) ? ["127.0.0.1", "localhost", "[::1]"] : [host.includes(":") ? `[${host}]` : host]

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/
/** Of all sessions of an endpoint; what does not fit is not kept. */
const STATE_BYTES_MAX = 268_435_456
