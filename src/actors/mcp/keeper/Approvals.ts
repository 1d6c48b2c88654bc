/**
 * Calls that wait until a person has approved them (mcp §6.10): the questions of all sessions of one keeper, their answers,
 * and what was decided for good.
 *
 * Told of questions by the sessions, of answers by the owner's commands. A question ends with its answer, with its time, or
 * with whoever asked it; it is known by a name that no other question of any keeper has, so that an answer never meets
 * another question than the one that was read.
 */
import { Clock, Deferred, Effect, Schema, Semaphore } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Remembered } from "./ApprovalFile.ts"

/** Whose call of what. */
export interface Question {
  readonly service: string
  /** What serves it (`ServiceTable.server`). */
  readonly server: string
  readonly node: number
  /** How people call the peer; a claim of its own, or its address. */
  readonly peer: string
  /** Of its key, for people; empty if it is not known now. */
  readonly fingerprint: string
  /** Ed25519, base64; undefined if it is not known now. */
  readonly peerKey: string | undefined
  readonly session: string
  readonly tool: string
  /** Raw JSON text of all that the server would get, but for `name` and `_meta`. */
  readonly parameters: string
  /** Undefined if the server does not list the tool. */
  readonly definitionHash: string | undefined
  /** How long it waits, in milliseconds; absent: `WAIT_MS`. */
  readonly waitMs: number | undefined
}

/** A question as it waits. Times are milliseconds since 1970. */
export interface Waiting extends Question {
  readonly id: string
  readonly askedAtMs: number
  readonly expiresAtMs: number
}

/** How a question ended. `id` is that of the question, or of what was remembered. */
export type Answer =
  | { readonly _tag: "Allowed"; readonly decision: "approved" | "always"; readonly id: string }
  | { readonly _tag: "Refused"; readonly decision: "refused" | "never" | "expired"; readonly id: string }
  /** Nobody could be asked: too many questions wait. */
  | { readonly _tag: "Unasked" }

/** What a person says: about this call, or about all calls like it. */
export type Verdict = "allow" | "deny" | "always" | "never"

/** A command that cannot be carried out. The messages are whole sentences. */
export class NotDecided extends Schema.TaggedError<NotDecided>()("NotDecided", {
  /** `NotWaiting`: there is no such question now. `Unknown`: nothing like it was decided. */
  reason: Schema.Literals(["NotWaiting", "Unknown", "NoDefinition", "NoKey", "TooMany", "NotKept"]),
  message: Schema.String
}) {}

/** What approvals are kept with. */
export interface Options {
  /** What was decided before. */
  readonly remembered: ReadonlyArray<Remembered>
  /** Writes what is decided for good; the message of its failure is shown to the owner. */
  readonly save: (remembered: ReadonlyArray<Remembered>) => Effect.Effect<void, { readonly message: string }>
  readonly randomBytes: (count: number) => Uint8Array
  /** Told of every question that waits, so that the owner can be. */
  readonly asked?: (question: Waiting) => Effect.Effect<void>
}

/** The questions of one keeper. */
export interface Approvals {
  /** Waits for the answer; an interruption takes the question back. */
  readonly ask: (question: Question) => Effect.Effect<Answer>
  readonly waiting: () => ReadonlyArray<Waiting>
  readonly remembered: () => ReadonlyArray<Remembered>
  /** The question of that name, while it waits. */
  readonly find: (id: string) => Effect.Effect<Waiting, NotDecided>
  /** Answers a question; gives it. */
  readonly decide: (id: string, verdict: Verdict) => Effect.Effect<Waiting, NotDecided>
  /** Forgets what was decided for good; the next call like it is asked about. */
  readonly revoke: (id: string) => Effect.Effect<Remembered, NotDecided>
}

/** No questions yet. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Approvals> {
  const clock = yield* Clock.Clock
  const open = new Map<string, Open>()
  /** How the last questions ended, for whoever answers too late. */
  const past = new Map<string, string>()
  const writing = yield* Semaphore.make(1)
  let remembered = options.remembered

  const settle = (id: string, answer: Answer, became: string): boolean => {
    const entry = open.get(id)
    if (entry === undefined) return false
    open.delete(id)
    past.set(id, became)
    const [oldest] = past.keys()
    if (past.size > PAST_MAX && oldest !== undefined) past.delete(oldest)
    Deferred.doneUnsafe(entry.answer, Effect.succeed(answer))
    return true
  }

  const freshId = (): string => {
    while (true) {
      const id = Bytes.toHex(options.randomBytes(ID_BYTES))
      const isTaken = open.has(id) || past.has(id) || remembered.some((item) => item.id === id)
      if (!isTaken) return id
    }
  }

  const knownAbout = (question: Question): Answer | undefined => {
    const known = remembered.find((item) => isAbout(item, question))
    if (known === undefined) return undefined
    return known.verdict === "allow"
      ? { _tag: "Allowed", decision: "always", id: known.id }
      : { _tag: "Refused", decision: "never", id: known.id }
  }

  const ask = Effect.fnUntraced(function* (question: Question): Effect.fn.Return<Answer> {
    const known = knownAbout(question)
    if (known !== undefined) return known
    const like = [...open.values()].filter(
      ({ waiting }) => waiting.service === question.service && waiting.node === question.node
    )
    if (like.length >= WAITING_PER_PEER || open.size >= WAITING_MAX) return { _tag: "Unasked" }
    const id = freshId()
    const askedAtMs = clock.currentTimeMillisUnsafe()
    const waitMs = question.waitMs ?? WAIT_MS
    const waiting: Waiting = { ...question, id, askedAtMs, expiresAtMs: askedAtMs + waitMs }
    const answer = yield* Deferred.make<Answer>()
    open.set(id, { waiting, answer })
    const expired = Effect.andThen(
      Effect.sleep(waitMs),
      Effect.sync(() => settle(id, { _tag: "Refused", decision: "expired", id }, "was not answered in time"))
    )
    const asked = options.asked?.(waiting) ?? Effect.void
    // Whoever takes the question out decides: its time and its answer may come at the same moment.
    yield* Effect.andThen(asked, Effect.raceFirst(Deferred.await(answer), expired)).pipe(
      Effect.ensuring(Effect.sync(() => settle(id, { _tag: "Unasked" }, "was taken back by its caller")))
    )
    return yield* Deferred.await(answer)
  })

  const keep = (next: ReadonlyArray<Remembered>): Effect.Effect<void, NotDecided> =>
    options.save(next).pipe(
      Effect.mapError(
        ({ message }) => new NotDecided({ reason: "NotKept", message: `It cannot be kept: ${message}.` })
      ),
      Effect.andThen(
        Effect.sync(() => {
          remembered = next
        })
      )
    )

  const notWaiting = (id: string): NotDecided => {
    const became = past.get(id)
    return new NotDecided({
      reason: "NotWaiting",
      message: became === undefined ? `There is no question ${id}.` : `The question ${id} ${became}.`
    })
  }

  const remember = Effect.fnUntraced(function* (waiting: Waiting, verdict: "allow" | "deny") {
    const { definitionHash, id, peer, peerKey, server, service, tool } = waiting
    if (definitionHash === undefined) return yield* NO_DEFINITION
    if (peerKey === undefined) return yield* NO_KEY
    // A decision about the same takes the place of the one before.
    const others = remembered.filter((item) => !isAbout(item, waiting))
    if (others.length >= REMEMBERED_MAX) return yield* TOO_MANY
    const createdAtSeconds = Math.floor(clock.currentTimeMillisUnsafe() / 1000)
    const item = { id, verdict, peerKey, peer, service, server, tool, definitionHash, createdAtSeconds }
    yield* keep([...others, item])
  })

  const decide = (id: string, verdict: Verdict): Effect.Effect<Waiting, NotDecided> =>
    Effect.gen(function* () {
      const entry = open.get(id)
      if (entry === undefined) return yield* notWaiting(id)
      const { waiting } = entry
      const isAllowed = verdict === "allow" || verdict === "always"
      const isForGood = verdict === "always" || verdict === "never"
      if (isForGood) yield* remember(waiting, isAllowed ? "allow" : "deny")
      const answer: Answer = isAllowed
        ? { _tag: "Allowed", decision: "approved", id }
        : { _tag: "Refused", decision: "refused", id }
      const became = isAllowed ? "has been allowed already" : "has been denied already"
      const isSettled = settle(id, answer, became)
      if (!isSettled && !isForGood) return yield* notWaiting(id)
      // Those that wait and are like it have their answer too.
      for (const other of isForGood ? [...open.values()] : []) {
        const known = knownAbout(other.waiting)
        if (known !== undefined) settle(other.waiting.id, known, became)
      }
      return waiting
    }).pipe(writing.withPermits(1))

  const revoke = (id: string): Effect.Effect<Remembered, NotDecided> =>
    Effect.gen(function* () {
      const found = remembered.find((item) => item.id === id)
      if (found === undefined) {
        return yield* new NotDecided({ reason: "Unknown", message: `Nothing is remembered as ${id}.` })
      }
      yield* keep(remembered.filter((item) => item !== found))
      return found
    }).pipe(writing.withPermits(1))

  return {
    ask,
    waiting: () => [...open.values()].map(({ waiting }) => waiting),
    remembered: () => remembered,
    find: (id) =>
      Effect.suspend(() => {
        const entry = open.get(id)
        return entry === undefined ? Effect.fail(notWaiting(id)) : Effect.succeed(entry.waiting)
      }),
    decide,
    revoke
  }
})

interface Open {
  readonly waiting: Waiting
  readonly answer: Deferred.Deferred<Answer>
}

const isAbout = (item: Remembered, question: Question): boolean =>
  item.peerKey === question.peerKey &&
  item.service === question.service &&
  item.server === question.server &&
  item.tool === question.tool &&
  item.definitionHash === question.definitionHash

const NO_DEFINITION = new NotDecided({
  reason: "NoDefinition",
  message: "The server does not list this tool, so what it is cannot be remembered. Decide about this call alone."
})
const NO_KEY = new NotDecided({
  reason: "NoKey",
  message: "The peer's key is not known now. Decide about this call alone."
})
const TOO_MANY = new NotDecided({
  reason: "TooMany",
  message: "Too much is remembered. Revoke something first."
})
/** A question is answered by itself after so long: no (mcp §6.10). */
export const WAIT_MS = 600_000
/** Questions of one peer to one service. */
export const WAITING_PER_PEER = 8
/** Questions of all of them. */
export const WAITING_MAX = 256
/** Decisions for good. */
export const REMEMBERED_MAX = 1024
/** Ends of questions that are told to whoever answers too late. */
const PAST_MAX = 256
/** Typed by people, and never met twice. */
const ID_BYTES = 4
