/**
 * A client's one connection to its registry: made when first needed, made again when lost, and shared by all calls. The
 * registry is recognised before a byte is sent to it.
 */
import { Deferred, Effect, Exit, Result, Schedule, Scope } from "effect"
import type * as Json from "../../core/data/Json.ts"
import { type ClientStream, ConnectError, type TlsClient } from "../../core/net/TlsClient.ts"
import type { WebSocketTarget } from "../../core/net/WebSocketClient.ts"
import { RegistryError } from "./RegistryClient.ts"
import * as RegistryPins from "./RegistryPins.ts"
import { type Failure, RegistryPipeline } from "./RegistryPipeline.ts"

/** Which registry, and how it is recognised. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly security: RegistryPins.RegistrySecurity
  readonly connectTimeoutMs: number
  /** Another way, tried beside the port when that does not answer at once. */
  readonly through?: WebSocketTarget | undefined
}

/** Mutable, with one owner. Calls may overlap. */
export class RegistryConnection {
  readonly #target: Target
  readonly #client: TlsClient["Service"]
  readonly #scope: Scope.Scope
  #open: RegistryPipeline | undefined
  /** What all that wait for a connection wait for. */
  #opening: Deferred.Deferred<RegistryPipeline, ConnectFailure> | undefined
  #wasOpen = false

  /** The end of `scope` closes it. */
  constructor(target: Target, client: TlsClient["Service"], scope: Scope.Scope) {
    this.#target = target
    this.#client = client
    this.#scope = scope
  }

  /**
   * Sends one request and reads its reply. A connection lost on the way is made again once, as the request is repeated, if it
   * may be. Whoever stops waiting for a reply ends the connection under the others, which repeat theirs.
   */
  call(operation: string, request: Json.JsonObject, mayRepeat: boolean): Effect.Effect<Json.JsonObject, RegistryError> {
    const attempt = Effect.flatMap(this.#connected, (open) => open.ask(request))
    return attempt.pipe(
      Effect.catchTag("StreamLost", (lost) => (mayRepeat ? attempt : Effect.fail(lost))),
      Effect.mapError((failure) => this.#error(operation, failure))
    )
  }

  /** Gives the connection up, whose way may be gone without a word; the next call makes another. */
  get hangUp(): Effect.Effect<void> {
    return Effect.suspend(() => this.#open?.close ?? Effect.void)
  }

  get #connected(): Effect.Effect<RegistryPipeline, ConnectFailure> {
    return Effect.suspend(() => {
      if (this.#open?.isOver === false) return Effect.succeed(this.#open)
      if (this.#opening !== undefined) return Deferred.await(this.#opening)
      const opening = Deferred.makeUnsafe<RegistryPipeline, ConnectFailure>()
      this.#opening = opening
      // In a fiber of its own: whoever asked first may give up before the others.
      const settled = Effect.flatMap(Effect.exit(this.#connect), (exit) =>
        Effect.sync(() => {
          this.#opening = undefined
          Deferred.doneUnsafe(opening, exit)
        })
      )
      return Effect.andThen(Effect.forkIn(settled, this.#scope, { startImmediately: true }), Deferred.await(opening))
    })
  }

  get #connect(): Effect.Effect<RegistryPipeline, ConnectFailure> {
    const once = connect(this.#target, this.#client, this.#scope)
    // A registry never reached is probably a wrong address: say so at once. One that was there is coming back.
    const attempts = this.#wasOpen
      ? Effect.retry(once, { schedule: RECONNECT, while: (failure) => failure.reason === "Unavailable" })
      : once
    return Effect.tap(attempts, (open) =>
      Effect.sync(() => {
        this.#open = open
        this.#wasOpen = true
      })
    )
  }

  #error(operation: string, failure: ConnectFailure | Failure): RegistryError {
    switch (failure._tag) {
      case "ConnectFailure":
        return new RegistryError({ reason: failure.reason, operation, detail: failure.detail })
      case "Malformed":
        return new RegistryError({ reason: "BadReply", operation, detail: failure.detail })
      case "StreamLost": {
        const detail = `connection to ${name(this.#target)} lost: ${failure.detail}`
        return new RegistryError({ reason: "Unavailable", operation, detail })
      }
    }
  }
}

/** Why there is no connection. */
interface ConnectFailure {
  readonly _tag: "ConnectFailure"
  readonly reason: RegistryError["reason"]
  readonly detail: string
}

const connect = Effect.fnUntraced(function* (
  target: Target,
  client: TlsClient["Service"],
  parent: Scope.Scope
): Effect.fn.Return<RegistryPipeline, ConnectFailure> {
  const { security } = target
  const pinned =
    security._tag === "Pinned"
      ? RegistryPins.normalize(security.fingerprint)
      : security._tag === "FirstUse"
        ? yield* security.pins.read(name(target))
        : undefined
  const scope = yield* Scope.fork(parent)
  const accept =
    security._tag === "Plaintext" ? undefined : (offered: string) => pinned === undefined || offered === pinned
  const stream = yield* reach(target, client, accept).pipe(
    Scope.provide(scope),
    Effect.mapError((error) => connectFailure(target, pinned, error)),
    Effect.onError(() => Scope.close(scope, Exit.void))
  )
  if (security._tag === "FirstUse" && pinned === undefined && stream.fingerprint !== undefined) {
    yield* security.pins.write(name(target), stream.fingerprint)
  }
  return yield* RegistryPipeline.open(stream, scope)
})

/**
 * By its port, and by the WebSocket too, if there is one, as soon as the port has failed or kept us waiting: whichever
 * answers. A registry that shows another certificate is the answer.
 */
const reach = Effect.fnUntraced(function* (
  { connectTimeoutMs: timeoutMs, host, port, through }: Target,
  client: TlsClient["Service"],
  accept: ((fingerprint: string) => boolean) | undefined
): Effect.fn.Return<ClientStream, ConnectError, Scope.Scope> {
  const direct = client.connect({ host, port, accept, timeoutMs })
  if (through === undefined || accept === undefined) return yield* direct
  const failed = yield* Deferred.make<ConnectError>()
  const first = direct.pipe(
    Effect.map(Result.succeed),
    Effect.catch((error) =>
      error.reason === "Refused"
        ? Effect.succeed(Result.fail(error))
        : Effect.andThen(Deferred.succeed(failed, error), Effect.fail(error))
    )
  )
  const second = Effect.raceFirst(Effect.sleep(HEAD_START_MS), Deferred.await(failed)).pipe(
    Effect.andThen(client.connect({ host, port, accept, timeoutMs, through })),
    Effect.map(Result.succeed),
    // Both have failed, or the other one will.
    Effect.catch((other) =>
      Effect.flatMap(Deferred.await(failed), (error) =>
        Effect.fail(
          through.isGuess ? error : new ConnectError({ ...error, detail: `${error.detail}; and by ${other.detail}` })
        )
      )
    )
  )
  return yield* Effect.flatMap(Effect.race(second, first), Effect.fromResult)
})

const connectFailure = (target: Target, pinned: string | undefined, error: ConnectError): ConnectFailure => {
  const where = name(target)
  const failure = (reason: RegistryError["reason"], detail: string): ConnectFailure => ({
    _tag: "ConnectFailure",
    reason,
    detail
  })
  switch (error.reason) {
    case "Refused": {
      const keys = `expected ${pinned ?? ""}, got ${error.fingerprint}`
      return failure("PinMismatch", `registry ${where} is not the one that was pinned: ${keys}`)
    }
    case "NoTls": {
      const hint = "a registry of the reference needs plain text"
      return failure("NoTls", `registry ${where} does not speak TLS (${error.detail}); ${hint}`)
    }
    case "Timeout":
    case "Unreachable":
      return failure("Unavailable", `registry ${where} cannot be reached: ${error.detail}`)
  }
}

const name = ({ host, port }: Target): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)

/** As the reference: five attempts, half a second and doubling (rendezvous §9.2). */
const RECONNECT = Schedule.max([Schedule.jittered(Schedule.exponential("500 millis")), Schedule.recurs(4)])
/** Of the registry's own port before its WebSocket is tried too. */
const HEAD_START_MS = 1_000
