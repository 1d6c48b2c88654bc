/**
 * What one client's session remembers of its service (mcp §6.9), and the file behind it: read when the service cannot be
 * reached, or something is to be saved; written when something new is known.
 *
 * Told by the `ShimSession` that it is made for. The file is named by the key that stands behind the peer, so that another
 * peer of the same name knows nothing; while that key is not known, nothing is read or written.
 */
import { Clock, DateTime, Effect, Latch, Option, type Scope } from "effect"
import * as Provided from "../../../core/actor/Provided.ts"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Call } from "../../../protocol/relay/InFlight.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import type { Known } from "../../../protocol/relay/KnownAnswers.ts"
import { isOurs, ListMemory } from "../../../protocol/relay/ListMemory.ts"
import type { Carried } from "../../../protocol/relay/Repeats.ts"
import { isSame, type Target } from "../Target.ts"
import type { Moves } from "./Instances.ts"
import type { ListFile } from "./ListFile.ts"

/** One session's. Nothing in it fails: what cannot be remembered is asked for again. */
export interface SessionLists {
  /** A request goes to the server, unless this is its answer. */
  readonly asked: (message: Uint8Array, envelope: JsonRpcPeek.Envelope) => Recalled | undefined
  /** A message of the server: what follows from it, and whether it is for the client at all. */
  readonly received: (
    message: Uint8Array,
    envelope: JsonRpcPeek.Envelope
  ) => {
    readonly isOurs: boolean
    readonly toServer: ReadonlyArray<Uint8Array>
    readonly toClient: ReadonlyArray<Uint8Array>
  }
  /** A server in the place of another answered the same `initialize`. */
  readonly reopened: (message: Uint8Array) => void
  /** From now on answers come from memory; of several instances, that of the one in use or of one that becomes it. */
  readonly leave: Effect.Effect<void>
  /** Waits for the first question of the client, answered or not. */
  readonly begun: Effect.Effect<void>
  /** Those of the messages that memory answers, with their answers, and the others. */
  readonly split: (messages: ReadonlyArray<Carried>) => {
    readonly answers: ReadonlyArray<Recalled>
    readonly rest: ReadonlyArray<Carried>
  }
  /** What is said in the place of an error for a call; `Nothing` if no client waits for it. */
  readonly inPlaceOf: (call: Call) => Uint8Array | "Nothing" | undefined
  /** The service can be reached; gives what has to be asked of it. `isAnother`: it has forgotten the session. */
  readonly returned: (isAnother: boolean) => ReadonlyArray<Uint8Array>
}

/** An answer from memory to the request with that raw id. */
export interface Recalled {
  readonly id: string
  readonly bytes: Uint8Array
  /** What the server is asked to be sure of it. */
  readonly toServer: ReadonlyArray<Uint8Array>
}

/** What a session's lists are made of. */
export interface Options {
  /** Where the session is now. */
  readonly target: Target
  /** What is remembered of each instance. */
  readonly fileOf: (target: Target) => ListFile
  /** Of several instances. */
  readonly moves?: Moves | undefined
  /** The client sees a list from memory as it is, nothing is taken out of it. */
  readonly isWhole: boolean
  /** What is known is told at once, and the server asked afterwards. */
  readonly isEager?: boolean | undefined
}

/** Saves in the surrounding scope. */
export const make = Effect.fnUntraced(function* ({
  fileOf,
  isEager = false,
  isWhole,
  moves,
  target
}: Options): Effect.fn.Return<SessionLists, never, Crypto | Scope.Scope> {
  const { sha256 } = yield* Crypto
  const clock = yield* Clock.Clock
  const context = yield* Provided.services<never>()
  const memory = new ListMemory({
    ...{ isWhole, isEager },
    hash: (text) => Bytes.toHex(sha256(Bytes.fromUtf8(text))).slice(0, HASH_CHARACTERS),
    nowMs: () => Math.round(clock.currentTimeMillisUnsafe()),
    instant: (atMs) => DateTime.formatIso(DateTime.makeUnsafe(atMs))
  })
  const news = Latch.makeUnsafe(false)
  const begun = Latch.makeUnsafe(false)
  let isLearned = false
  let isTold = isEager
  let leaves = 0
  /** How often the service could be reached again: what was looked for before that is wanted no more. */
  let returns = 0
  /** Whose answers are known. */
  let of = { ...target }

  /** Whose key it is may take long to find out, and nobody waits for that. */
  const learn = Effect.suspend(() => {
    const whose = of
    return Effect.map(Effect.timeoutOption(fileOf(whose).load, LEARN_TIMEOUT), (loaded) => {
      const known = Option.getOrUndefined(loaded)
      // While the file was read the session may have gone to another instance, of which this says nothing.
      if (known === undefined || whose !== of) return false
      memory.learn(known)
      isLearned = true
      return true
    })
  })

  /** The instance of which something is known becomes the one in use, so that pins and names are those of it. */
  const learnAny = Effect.fnUntraced(function* (isOver: () => boolean) {
    move(target)
    if (!isLearned) yield* learn
    for (const other of moves?.others() ?? []) {
      if (memory.isKnowing || isOver()) return
      move(other)
      yield* learn
      if (isOver()) return
      if (memory.isKnowing) moves?.stay(other)
    }
    move(target)
  })

  const leave = Effect.gen(function* () {
    const before = returns
    const isOver = () => returns !== before
    yield* learnAny(isOver)
    if (isOver()) return
    memory.isAway = true
    // Whoever is told at once is told why only if it lasts.
    if (isEager && ++leaves === 2 && memory.isGuessing) Effect.runForkWith(context)(Effect.logWarning(awayText()))
  })

  const move = (to: Target): void => {
    if (isSame(to, of)) return
    memory.moved()
    isLearned = false
    of = { ...to }
  }

  const save = Effect.suspend(() =>
    memory.isChanged ? Effect.flatMap(learn, (canSave) => (canSave ? write(memory.save()) : Effect.void)) : Effect.void
  )
  /** The session may end in the middle of it, and saves once more when it does. */
  const write = (known: ReadonlyArray<Known>) =>
    Effect.onInterrupt(fileOf(of).save(known), () =>
      Effect.sync(() => {
        memory.isChanged = true
      })
    )
  yield* Effect.addFinalizer(() => save)
  yield* Effect.gen(function* () {
    while (true) {
      yield* news.await
      news.closeUnsafe()
      yield* save
    }
  }).pipe(Effect.forkScoped)

  const changed = (): void => {
    if (memory.isChanged) news.openUnsafe()
  }

  const awayText = () =>
    `mcp: ${of.peer}/${of.service} cannot be reached; its lists are shown as they were when it last could`

  const recall = (message: Uint8Array, request: Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>) => {
    const answer = memory.recall(message, request)
    if (answer === undefined || isTold) return answer
    isTold = true
    Effect.runForkWith(context)(Effect.logWarning(awayText()))
    return answer
  }

  return {
    begun: begun.await,
    asked: (message, envelope) => {
      if (envelope._tag !== "Request") return undefined
      begun.openUnsafe()
      const bytes = recall(message, envelope)
      if (bytes !== undefined) return { id: envelope.id, bytes, toServer: memory.take().toServer }
      memory.asked(message, envelope)
      return undefined
    },
    received: (message, envelope) => {
      // Nearly every message answers a call, of which nothing is kept.
      if (envelope._tag === "Response" && !memory.isWaiting) return NOTHING
      let isOwn = false
      let toClient: ReadonlyArray<Uint8Array> = []
      if (envelope._tag === "Response") isOwn = memory.answered(message, envelope.id) === "Ours"
      else if (envelope._tag === "Notification") toClient = memory.notified(message, envelope.method)
      changed()
      const taken = memory.take()
      return { isOurs: isOwn, toServer: taken.toServer, toClient: [...toClient, ...taken.toClient] }
    },
    reopened: (message) => {
      memory.reopened(message)
      changed()
    },
    leave,
    split: (messages) => {
      const answers: Array<Recalled> = []
      const rest = messages.filter(({ bytes }) => {
        const request = JsonRpcPeek.request(bytes)
        const answer = request === undefined ? undefined : recall(bytes, request)
        if (request !== undefined && answer !== undefined) {
          answers.push({ id: request.id, bytes: answer, toServer: [] })
        }
        return answer === undefined
      })
      return { answers, rest }
    },
    inPlaceOf: ({ id, message }) => {
      if (isOurs(id)) {
        memory.lost(id)
        return "Nothing"
      }
      const request = message === undefined ? undefined : JsonRpcPeek.request(message)
      return message === undefined || request === undefined ? undefined : recall(message, request)
    },
    returned: (isAnother) => {
      isTold = false
      returns++
      move(target)
      return memory.returned(isAnother)
    }
  }
})

const NOTHING = { isOurs: false, toServer: [], toClient: [] }
const LEARN_TIMEOUT = "3 seconds"
const HASH_CHARACTERS = 32
