/**
 * A client's one connection to its registry: made when first needed, made again when lost, and shared by calls that
 * follow one another. The registry is recognised before a byte is sent to it.
 */
import { type Cause, Effect, Exit, Result, Schedule, Scope } from "effect"
import type * as Json from "../../core/data/Json.ts"
import { type ClientStream, type ConnectError, StreamLost, type TlsClient } from "../../core/net/TlsClient.ts"
import type * as LengthPrefix from "../../protocol/wire/LengthPrefix.ts"
import * as RegistryMessage from "../../protocol/wire/RegistryMessage.ts"
import { RegistryError } from "./RegistryClient.ts"
import * as RegistryPins from "./RegistryPins.ts"

/** Which registry, and how it is recognised. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly security: RegistryPins.RegistrySecurity
  readonly connectTimeoutMs: number
}

/** Mutable, with one owner: calls must not overlap. */
export class RegistryConnection {
  readonly #target: Target
  readonly #client: TlsClient["Service"]
  #open: Open | undefined
  #wasOpen = false

  constructor(target: Target, client: TlsClient["Service"]) {
    this.#target = target
    this.#client = client
  }

  /** Sends one request and reads its reply. A connection lost on the way is made again once, as the request is repeated. */
  call(operation: string, request: Json.JsonObject): Effect.Effect<Json.JsonObject, RegistryError> {
    return this.#attempt(operation, request).pipe(
      Effect.catchTag("StreamLost", () => this.#attempt(operation, request)),
      Effect.catchTag("StreamLost", ({ detail }) =>
        fail("Unavailable", operation, `connection to ${name(this.#target)} lost: ${detail}`)
      ),
      // After anything but a whole reply the next bytes could be anybody's answer.
      Effect.onExit((exit) => (Exit.isFailure(exit) ? this.close : Effect.void))
    )
  }

  /** Closes the connection, if there is one. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    const open = this.#open
    this.#open = undefined
    return open === undefined ? Effect.void : Scope.close(open.scope, Exit.void)
  })

  #attempt(operation: string, request: Json.JsonObject): Effect.Effect<Json.JsonObject, RegistryError | StreamLost> {
    return Effect.flatMap(this.#connected(operation), (open) => exchange(open, operation, request)).pipe(
      Effect.tapError((error) => (error._tag === "StreamLost" ? this.close : Effect.void))
    )
  }

  #connected(operation: string): Effect.Effect<Open, RegistryError> {
    if (this.#open !== undefined) return Effect.succeed(this.#open)
    const once = Effect.suspend(() => connect(this.#target, this.#client, operation))
    // A registry never reached is probably a wrong address: say so at once. One that was there is coming back.
    const attempts = this.#wasOpen
      ? Effect.retry(once, { schedule: RECONNECT, while: (error) => error.reason === "Unavailable" })
      : once
    return Effect.tap(attempts, (open) =>
      Effect.sync(() => {
        this.#open = open
        this.#wasOpen = true
      })
    )
  }
}

interface Open {
  readonly stream: ClientStream
  readonly splitter: LengthPrefix.Splitter
  readonly scope: Scope.Closeable
}

const connect = Effect.fnUntraced(function* (
  target: Target,
  client: TlsClient["Service"],
  operation: string
): Effect.fn.Return<Open, RegistryError> {
  const { security } = target
  const pinned =
    security._tag === "Pinned"
      ? RegistryPins.normalize(security.fingerprint)
      : security._tag === "FirstUse"
        ? yield* security.pins.read(name(target))
        : undefined
  const scope = yield* Scope.make()
  const stream = yield* client
    .connect({
      host: target.host,
      port: target.port,
      accept: security._tag === "Plaintext" ? undefined : (offered) => pinned === undefined || offered === pinned,
      timeoutMs: target.connectTimeoutMs
    })
    .pipe(
      Scope.provide(scope),
      Effect.mapError((error) => connectFailure(target, operation, pinned, error)),
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
  if (security._tag === "FirstUse" && pinned === undefined && stream.fingerprint !== undefined) {
    yield* security.pins.write(name(target), stream.fingerprint)
  }
  return { stream, splitter: RegistryMessage.makeSplitter(), scope }
})

const exchange = Effect.fnUntraced(function* (
  { stream, splitter }: Open,
  operation: string,
  request: Json.JsonObject
): Effect.fn.Return<Json.JsonObject, RegistryError | StreamLost> {
  yield* stream.write(RegistryMessage.encodeOrdered(request))
  while (true) {
    const chunk = yield* Effect.catchTag(stream.read, "Done", ended)
    const { frames, exceeded } = splitter.push(chunk)
    const [body, ...surplus] = frames
    if (exceeded !== undefined || surplus.length > 0) {
      return yield* fail("BadReply", operation, "the registry sent more than one answer, or one that is too long")
    }
    if (body === undefined) continue
    const reply = RegistryMessage.decode(body)
    if (Result.isFailure(reply)) return yield* fail("BadReply", operation, "the reply is not a JSON object")
    return reply.success
  }
})

const ended = (_: Cause.Done): Effect.Effect<never, StreamLost> =>
  Effect.fail(new StreamLost({ detail: "closed by the registry" }))

const connectFailure = (
  target: Target,
  operation: string,
  pinned: string | undefined,
  error: ConnectError
): RegistryError => {
  const where = name(target)
  switch (error.reason) {
    case "Refused":
      return new RegistryError({
        reason: "PinMismatch",
        operation,
        detail: `registry ${where} is not the one that was pinned: expected ${pinned ?? ""}, got ${error.fingerprint}`
      })
    case "NoTls":
      return new RegistryError({
        reason: "NoTls",
        operation,
        detail: `registry ${where} does not speak TLS (${error.detail}); a registry of the reference needs plain text`
      })
    case "Timeout":
    case "Unreachable":
      return new RegistryError({
        reason: "Unavailable",
        operation,
        detail: `registry ${where} cannot be reached: ${error.detail}`
      })
  }
}

const fail = (reason: RegistryError["reason"], operation: string, detail: string) =>
  Effect.fail(new RegistryError({ reason, operation, detail }))

const name = ({ host, port }: Target): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)

/** As the reference: five attempts, half a second and doubling (rendezvous §9.2). */
const RECONNECT = Schedule.max([Schedule.jittered(Schedule.exponential("500 millis")), Schedule.recurs(4)])
