/**
 * Whether the server of the instance in use works, by what becomes of calls: a keeper that welcomes says nothing about it.
 * A server that lets calls wait in silence is asked for a sign of life over the open session (`ping`, `server/discover`);
 * one that gives none, and one whose calls keep ending without an answer of a server, has failed.
 *
 * Stands between a client and its `ShimSession`, and tells `Moves`. Nothing is asked while no call waits.
 */
import { Clock, Effect, Result, type Scope } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as CircuitBreaker from "../../../protocol/relay/CircuitBreaker.ts"
import * as RawRpc from "../../../protocol/relay/era/RawRpc.ts"
import { type Call, InFlight } from "../../../protocol/relay/InFlight.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import type { Line } from "../../../protocol/relay/LineSplitter.ts"
import type { Moves } from "./Instances.ts"
import type { ShimSession } from "./ShimSession.ts"

/** One client's. */
export interface InstanceHealth<E> {
  /** The client as the session writes to it, one message and a newline at a time; answers to our signs end here. */
  readonly client: Duplex<E>
  /** The session as the client's side uses it. Watches in the surrounding scope. */
  readonly watch: (session: ShimSession) => Effect.Effect<ShimSession, never, Scope.Scope>
}

/** Nothing is known yet but the calls that wait in a session of an earlier process. */
export const make = <E>(
  client: Duplex<E>,
  moves: Moves,
  restored?: ReadonlyArray<Pick<Call, "id" | "method">>
): Effect.Effect<InstanceHealth<E>> =>
  Effect.map(Clock.Clock, (clock) => {
    const health = new Health(moves, () => MonotonicTime.nowMsUnsafe(clock))
    if (restored !== undefined) health.goOn(restored)
    return {
      client: {
        ...client,
        write: (message) => (health.received(message) === "Ours" ? Effect.void : client.write(message))
      },
      watch: (session) =>
        Effect.as(Effect.forkScoped(look(health, session, moves)), {
          ...session,
          fromClient: (line) => {
            health.sent(line)
            return session.fromClient(line)
          }
        })
    }
  })

/** Looks again and again. */
const look = Effect.fnUntraced(function* (health: Health, session: ShimSession, moves: Moves) {
  while (true) {
    yield* Effect.sleep(LOOK_MS)
    const due = health.due()
    if (due === "Failed") yield* moves.failing
    // A server that reads nothing leaves no room for it, and that is no sign of life either.
    else if (due !== undefined) {
      yield* Effect.timeoutOption(session.fromClient({ _tag: "Whole", bytes: due }), SIGN_TIMEOUT_MS)
    }
  }
})

/** What has been seen of one instance's server. It is another's after a move. */
class Health {
  readonly #calls = new InFlight()
  readonly #moves: Moves
  readonly #nowMs: () => number
  #moved = 0
  #breaker: CircuitBreaker.State = CircuitBreaker.initial
  #hasFailed = false
  /** A server that starts for the first time may be fetched from a registry before, and then it answers nothing. */
  #wasHeard = false
  /** When something was heard last, or the first call began to wait. */
  #heardAtMs = 0
  #askedAtMs: number | undefined
  #asked = 0
  /** Of the client's last modern request: what a modern server wants to be asked with. */
  #meta: string | undefined

  constructor(moves: Moves, nowMs: () => number) {
    this.#moves = moves
    this.#nowMs = nowMs
  }

  /** The server has been heard by an earlier process, and works on these. */
  goOn(calls: ReadonlyArray<Pick<Call, "id" | "method">>): void {
    this.#wasHeard = true
    this.#heard()
    for (const { id, method } of calls) if (!isOurs(id)) this.#calls.add(id, method, 0)
  }

  /** The client says something. */
  sent(line: Line): void {
    if (line._tag === "Oversized") return
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(line.bytes))
    if (envelope === undefined) return
    for (const item of JsonRpcPeek.messages(envelope)) {
      if (item._tag === "Notification" && item.cancels !== undefined) this.#calls.cancel(item.cancels)
    }
    for (const { id, method } of JsonRpcPeek.requests(envelope)) {
      if (this.#calls.size === 0) this.#heard()
      if (method !== "subscriptions/listen") this.#calls.add(id, method, 0)
    }
    if (envelope._tag === "Request") this.#meta = modernMeta(line.bytes)
  }

  /** Something for the client; `Ours` if it is the answer to a sign that we asked for. */
  received(message: Uint8Array): "Ours" | "Client" {
    this.#noteMove()
    const bytes = message.subarray(0, -1)
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(bytes))
    if (envelope === undefined) return "Client"
    if (envelope._tag === "Response" && envelope.isError && isOfBridge(bytes)) this.#learn(NO_ANSWER)
    else if (envelope._tag !== "Notification" || !isOwnProgress(bytes)) {
      this.#wasHeard = true
      this.#heard()
      if (envelope._tag === "Response") this.#learn(CircuitBreaker.Input.Succeeded())
    }
    for (const { id } of JsonRpcPeek.responses(envelope)) this.#calls.settle(id)
    return envelope._tag === "Response" && isOurs(envelope.id) ? "Ours" : "Client"
  }

  /** What to do now: a message for the server, or nothing. */
  due(): Uint8Array | "Failed" | undefined {
    this.#noteMove()
    if (this.#hasFailed) {
      this.#hasFailed = false
      return "Failed"
    }
    const nowMs = this.#nowMs()
    if (this.#calls.size === 0 || !this.#wasHeard) return undefined
    if (this.#askedAtMs === undefined) {
      if (nowMs - this.#heardAtMs < SILENCE_MS) return undefined
      this.#askedAtMs = nowMs
      return this.#sign()
    }
    if (nowMs - this.#askedAtMs < SIGN_TIMEOUT_MS) return undefined
    // It is asked anew after a while, should there be nowhere else to go.
    this.#heard()
    return "Failed"
  }

  #sign(): Uint8Array {
    const id = `"${OURS}${++this.#asked}"`
    return Bytes.fromUtf8(
      this.#meta === undefined
        ? `{"jsonrpc":"2.0","id":${id},"method":"ping"}`
        : `{"jsonrpc":"2.0","id":${id},"method":"server/discover","params":{"_meta":${this.#meta}}}`
    )
  }

  #heard(): void {
    this.#heardAtMs = this.#nowMs()
    this.#askedAtMs = undefined
  }

  #learn(input: CircuitBreaker.Input): void {
    const { outputs, state } = BREAKER.step(this.#breaker, input, this.#nowMs())
    this.#breaker = state
    if (outputs.some(({ _tag }) => _tag === "ReportOpened")) this.#hasFailed = true
  }

  /** While a move waits for quiet, what is seen is still the doing of the server that is left. */
  #noteMove(): void {
    const moves = this.#moves.count()
    if (moves === this.#moved && !this.#moves.isPending()) return
    this.#moved = moves
    this.#hasFailed = false
    this.#breaker = CircuitBreaker.initial
    this.#heard()
  }
}

/** Whether that raw id is of a request of ours: some servers escape the slash. */
const isOurs = (id: string): boolean => RawRpc.idKey(id).startsWith(`s${OURS}`)

/** Whether an error says that no server answered. */
const isOfBridge = (bytes: Uint8Array): boolean => NO_SERVER.has(Number(JsonRpcPeek.member(bytes, ["error", "code"])))

/** Signs that this bridge gives in the place of a silent server. */
const isOwnProgress = (bytes: Uint8Array): boolean =>
  /^(waiting for|reconnecting) .*on /.test(`${JsonRpcPeek.string(bytes, ["params", "message"]) ?? ""}`)

/** `_meta` as it stands in a request of the modern revision; undefined in others. */
const modernMeta = (bytes: Uint8Array): string | undefined =>
  JsonRpcPeek.member(bytes, ["params", "_meta", "io.modelcontextprotocol/protocolVersion"]) === undefined
    ? undefined
    : JsonRpcPeek.member(bytes, ["params", "_meta"])

const BREAKER = CircuitBreaker.make()
const NO_ANSWER = CircuitBreaker.Input.Failed({ reason: "no server answered" })
const NO_SERVER: ReadonlySet<number> = new Set([
  BridgeError.CODE.unreachable,
  BridgeError.CODE.outcomeUnknown,
  BridgeError.CODE.credentials
])
/** How ids of our own requests begin. */
const OURS = "effect-pilot/health-"
const LOOK_MS = 2_000
/** A call that waits in silence for so long has its server asked for a sign of life. */
const SILENCE_MS = 10_000
/** A server that gives none for so long has failed. With the quiet that a move waits for, within the 60 s of SDKs. */
const SIGN_TIMEOUT_MS = 10_000
