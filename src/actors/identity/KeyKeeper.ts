/**
 * Changes this node's key: writes what is to happen, tells the registry, moves when the registry has moved, tells the peers. The
 * registry goes first because a node that registers under a key the registry does not expect would be another node.
 */
import { Clock, Effect, type FileSystem, type Path, Semaphore } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import { Crypto, type SigningKey } from "../../core/crypto/Crypto.ts"
import type { IdentityError } from "../../core/crypto/IdentityFile.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { KeyChain } from "../../protocol/identity/KeyChain.ts"
import * as KeySigning from "../../protocol/identity/KeySigning.ts"
import * as KeyStatement from "../../protocol/identity/KeyStatement.ts"
import type { PublishedChain, RegistryError } from "../registry/RegistryClient.ts"
import * as OwnKeyState from "./OwnKeyState.ts"
import { OwnKeyError, type OwnKeyStatus, type OwnKeys } from "./OwnKeys.ts"

/** What the keeper works with. */
export interface Options {
  readonly state: OwnKeyState.OwnKeyState
  /** Teaches the registries; what counts at all of them that can be asked, and the latest time that any names. */
  readonly publish: (chain: KeyChain) => Effect.Effect<PublishedChain, RegistryError>
  /** Tells peers that have a tunnel now. */
  readonly spread: (chain: KeyChain) => Effect.Effect<void>
  /** Every tunnel agrees on new keys, under the identity of now; what flows through them goes on. */
  readonly renewTunnels: Effect.Effect<void>
  readonly moved: (publicKey: Uint8Array) => void
  /** A new key for this node that was not made here. */
  readonly contested: (publicKey: Uint8Array) => void
}

/** The service, and an ear for what the registry says of this node. */
export interface KeyKeeper {
  readonly keys: OwnKeys["Service"]
  readonly heard: (chain: KeyChain) => Effect.Effect<void>
}

/** Needs the disk for as long as it lives. */
export const make = Effect.fn("KeyKeeper.make")(function* (
  options: Options
): Effect.fn.Return<KeyKeeper, never, Crypto | FileSystem.FileSystem | Path.Path> {
  const services = yield* Provided.services<Crypto | FileSystem.FileSystem | Path.Path>()
  const crypto = yield* Crypto
  const turn = yield* Semaphore.make(1)
  const alarms = new Set<string>()
  const self: Keeper = {
    ...{ options, crypto, isPublished: true, prepared: undefined, dueSeconds: 0, enrolment: undefined },
    ...{ contested: [], cancellations: undefined }
  }
  const alone = <A, E>(work: Effect.Effect<A, E | IdentityError, Disk>): Effect.Effect<A, E | OwnKeyError> =>
    turn.withPermit(work).pipe(Effect.provide(services), Effect.mapError(notStored))
  const answering = (work: Effect.Effect<void, OwnKeyError | IdentityError, Disk>) =>
    alone(Effect.andThen(work, status(self)))
  return {
    keys: {
      status: Effect.orDie(alone(status(self))),
      rotate: answering(rotate(self)),
      prepareRotation: alone(prepareRotation(self)),
      commitRotation: (signature) => answering(commitRotation(self, signature)),
      cancel: answering(cancel(self)),
      prepareCancellation: alone(prepareCancellation(self)),
      commitCancellation: (signatures) => answering(commitCancellation(self, signatures)),
      prepareEnrolment: (recovery) => alone(prepareEnrolment(self, recovery)),
      commitEnrolment: (signatures) => answering(commitEnrolment(self, signatures)),
      commitDrafted: (draft, consent) => answering(commitDrafted(self, draft, consent)),
      look: alone(look(self)).pipe(Effect.catch((error) => Effect.logWarning(`the key of this node: ${error.detail}`)))
    },
    heard: (chain) =>
      Effect.sync(() => {
        for (const rival of rivals(self, chain)) {
          if (!includes(self.contested, rival)) self.contested = [...self.contested, rival].slice(-CONTESTED_MAX)
          if (alarms.has(Bytes.toHex(rival)) || alarms.size >= ALARMS_MAX) continue
          alarms.add(Bytes.toHex(rival))
          options.contested(rival)
        }
      })
  }
})

type Disk = Crypto | FileSystem.FileSystem | Path.Path

interface Keeper {
  readonly options: Options
  readonly crypto: Crypto["Service"]
  isPublished: boolean
  /** When the registry lets the key in waiting count, if later than by its statement. */
  dueSeconds: number
  prepared: { readonly key: SigningKey; readonly draft: KeyStatement.Draft } | undefined
  enrolment: KeyStatement.Draft | undefined
  /** New keys that somebody else has named for the present one, the newest last. */
  contested: ReadonlyArray<Uint8Array>
  cancellations: ReadonlyArray<KeyStatement.Draft> | undefined
}

const status = Effect.fnUntraced(function* ({ crypto, dueSeconds, isPublished, options: { state } }: Keeper) {
  const { recovery, sequence } = OwnKeyState.standing(state, crypto.verify, yield* nowSeconds)
  const { staged } = state
  const answer: OwnKeyStatus = {
    publicKey: state.key.publicKey,
    sequence: sequence ?? 0,
    recovery: recovery?.key,
    pending: staged && {
      publicKey: staged.key.publicKey,
      fromSeconds: Math.max(dueSeconds, OwnKeyState.dueSeconds(staged))
    },
    isPublished,
    chain: OwnKeyState.published(state)
  }
  return answer
})

const rotate = Effect.fnUntraced(function* (self: Keeper) {
  const { crypto, options } = self
  const { state } = options
  yield* unlessInProgress(state)
  const next = crypto.signingKey()
  const seconds = yield* nowSeconds
  const standing = OwnKeyState.standing(state, crypto.verify, seconds)
  const link = KeySigning.sign(KeySigning.rotation(standing, next.publicKey, "key", seconds), state.key, next)
  yield* OwnKeyState.stage(state, { key: next, chain: [...state.chain, link] })
  yield* tell(self)
})

const prepareRotation = Effect.fnUntraced(function* (self: Keeper) {
  const { crypto, options } = self
  const { state } = options
  const seconds = yield* nowSeconds
  const standing = OwnKeyState.standing(state, crypto.verify, seconds)
  if (standing.recovery === undefined) return yield* fail("NoRecoveryKey", "no recovery key is enrolled for this node")
  // One that is announced already is only hurried up.
  const key = state.staged?.key ?? crypto.signingKey()
  const draft = KeySigning.rotation(standing, key.publicKey, "recovery", seconds)
  self.prepared = { key, draft }
  return draft
})

const commitRotation = Effect.fnUntraced(function* (self: Keeper, signature: Uint8Array) {
  const { options, prepared } = self
  const { state } = options
  if (prepared === undefined) return yield* fail("NothingInProgress", "no rotation was prepared")
  const link = { ...prepared.draft, signature, consent: prepared.key.sign(KeyStatement.signedBytes(prepared.draft)) }
  if (!KeyStatement.isGenuine(link, self.crypto.verify))
    return yield* fail("WrongRecoveryKey", "that is not the recovery key of this node")
  self.prepared = undefined
  self.dueSeconds = 0
  yield* OwnKeyState.stage(state, { key: prepared.key, chain: [...OwnKeyState.published(state), link] })
  yield* complete(self)
})

const cancel = Effect.fnUntraced(function* (self: Keeper) {
  const { crypto, options } = self
  const { state } = options
  const { staged } = state
  if (staged === undefined) return yield* fail("NothingInProgress", "no new key is announced")
  const seconds = yield* nowSeconds
  const standing = OwnKeyState.standing(state, crypto.verify, seconds)
  const draft = KeySigning.cancellation(standing, staged.key.publicKey, "key", seconds)
  yield* OwnKeyState.amend(state, [...staged.chain, KeySigning.sign(draft, state.key)])
  yield* tell(self)
})

const prepareCancellation = Effect.fnUntraced(function* (self: Keeper) {
  const { contested, crypto, options } = self
  const { state } = options
  const announced = [...(state.staged === undefined ? [] : [state.staged.key.publicKey]), ...contested]
  if (announced.length === 0) return yield* fail("NothingInProgress", "no new key is announced")
  const seconds = yield* nowSeconds
  const standing = OwnKeyState.standing(state, crypto.verify, seconds)
  if (standing.recovery === undefined) return yield* fail("NoRecoveryKey", "no recovery key is enrolled for this node")
  const drafts = announced.map((next) => KeySigning.cancellation(standing, next, "recovery", seconds))
  self.cancellations = drafts
  return drafts
})

const commitCancellation = Effect.fnUntraced(function* (self: Keeper, signatures: ReadonlyArray<Uint8Array>) {
  const { cancellations, options } = self
  if (cancellations === undefined) return yield* fail("NothingInProgress", "no cancellation was prepared")
  const statements = cancellations.map((draft, index) => ({
    ...draft,
    signature: signatures[index] ?? Bytes.empty,
    consent: Bytes.empty
  }))
  if (!statements.every((statement) => KeyStatement.isGenuine(statement, self.crypto.verify)))
    return yield* fail("WrongRecoveryKey", "that is not the recovery key of this node")
  self.cancellations = undefined
  self.prepared = undefined
  self.dueSeconds = 0
  yield* OwnKeyState.amend(options.state, [...OwnKeyState.published(options.state), ...statements])
  self.contested = self.contested.filter((key) => !statements.some(({ next }) => Bytes.equals(next, key)))
  yield* tell(self)
})

const prepareEnrolment = Effect.fnUntraced(function* (self: Keeper, recovery: Uint8Array) {
  const { crypto, options } = self
  yield* unlessInProgress(options.state)
  const seconds = yield* nowSeconds
  const draft = KeySigning.enrolment(OwnKeyState.standing(options.state, crypto.verify, seconds), recovery, seconds)
  self.enrolment = draft
  return draft
})

const commitEnrolment = Effect.fnUntraced(function* (
  self: Keeper,
  { consent, predecessor }: { readonly consent: Uint8Array; readonly predecessor: Uint8Array }
) {
  const { enrolment, options } = self
  const { state } = options
  if (enrolment === undefined) return yield* fail("NothingInProgress", "no enrolment was prepared")
  yield* unlessInProgress(state)
  const signature = enrolment.signer === "key" ? state.key.sign(KeyStatement.signedBytes(enrolment)) : predecessor
  const statement = { ...enrolment, consent, signature }
  if (!KeyStatement.isGenuine(statement, self.crypto.verify))
    return yield* fail("WrongRecoveryKey", "the signatures are not of the recovery keys that were named")
  self.enrolment = undefined
  yield* OwnKeyState.amend(state, [...state.chain, statement])
  yield* tell(self)
})

const commitDrafted = Effect.fnUntraced(function* (self: Keeper, draft: Uint8Array, consent: Uint8Array) {
  const { enrolment } = self
  if (enrolment === undefined || !Bytes.equals(KeyStatement.signedBytes(enrolment), draft))
    return yield* fail("NothingInProgress", "that enrolment was not prepared here, or another one since")
  yield* commitEnrolment(self, { consent, predecessor: Bytes.empty })
})

const look = Effect.fnUntraced(function* (self: Keeper) {
  const { staged } = self.options.state
  if (staged !== undefined) {
    const dueSeconds = Math.max(self.dueSeconds, OwnKeyState.dueSeconds(staged))
    if ((yield* nowSeconds) >= dueSeconds) return yield* complete(self)
  }
  if (!self.isPublished) yield* tell(self)
})

/** The registry first; what it has once moved it moves again without harm, so this may be repeated after anything. */
const complete = Effect.fnUntraced(function* (self: Keeper) {
  const { options } = self
  const { state } = options
  const { staged } = state
  if (staged === undefined) return
  const reply = yield* publish(self)
  if (reply.isForked) return yield* fail("Refused", "the registry knows of another new key: the chain has forked")
  if (!Bytes.equals(reply.publicKey, staged.key.publicKey)) {
    self.dueSeconds = reply.pendingUntilSeconds ?? (yield* nowSeconds) + RETRY_SECONDS
    return
  }
  yield* Effect.uninterruptible(move(self))
})

/** Nobody comes back to any of it, so it goes on when the client that asked for it hangs up. */
const move = Effect.fnUntraced(function* (self: Keeper) {
  const { options } = self
  const { state } = options
  yield* OwnKeyState.promote(state)
  self.contested = []
  options.moved(state.key.publicKey)
  yield* options.spread(state.chain)
  yield* options.renewTunnels
})

/** What could not be told now is told again after the next heartbeat. */
const tell = Effect.fnUntraced(function* (self: Keeper) {
  yield* Effect.catch(publish(self), ({ detail }) => Effect.logWarning(`the registry was not told of a key: ${detail}`))
  yield* self.options.spread(OwnKeyState.published(self.options.state))
})

const publish = Effect.fnUntraced(function* (self: Keeper): Effect.fn.Return<PublishedChain, OwnKeyError> {
  const { publish: teach, state } = self.options
  self.isPublished = false
  const reply = yield* Effect.mapError(
    teach(OwnKeyState.published(state)),
    (error) =>
      new OwnKeyError({
        reason: error.reason === "Refused" || error.reason === "NotFound" ? "Refused" : "Unavailable",
        detail: `registry: ${error.detail}`
      })
  )
  self.isPublished = true
  return reply
})

/** New keys that somebody has named with the present key, and this node has not. */
const rivals = ({ crypto, options: { state } }: Keeper, chain: KeyChain): ReadonlyArray<Uint8Array> => {
  const own = OwnKeyState.published(state)
  return chain
    .filter(
      (one) =>
        one.kind === "rotate" &&
        Bytes.equals(one.key, state.key.publicKey) &&
        !own.some(({ next }) => Bytes.equals(next, one.next)) &&
        KeyStatement.isGenuine(one, crypto.verify)
    )
    .map(({ next }) => next)
}

const includes = (keys: ReadonlyArray<Uint8Array>, key: Uint8Array): boolean =>
  keys.some((other) => Bytes.equals(other, key))

const unlessInProgress = ({ staged }: OwnKeyState.OwnKeyState): Effect.Effect<void, OwnKeyError> =>
  staged === undefined ? Effect.void : fail("InProgress", "a new key is announced already")

const fail = (reason: OwnKeyError["reason"], detail: string) => Effect.fail(new OwnKeyError({ reason, detail }))

const notStored = <E>(error: E | IdentityError): E | OwnKeyError =>
  isIdentityError(error) ? new OwnKeyError({ reason: "NotStored", detail: `${error.path}: ${error.detail}` }) : error

const isIdentityError = (error: unknown): error is IdentityError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "IdentityError"

const nowSeconds = Effect.map(Clock.currentTimeMillis, (ms) => Math.floor(ms / 1000))

/** After an answer that says neither yes nor when. */
const RETRY_SECONDS = 3600
/** Rivals of this node's key that are reported. */
const ALARMS_MAX = 16
/** Rivals that one cancellation names: a chain holds sixteen statements. Against more helps a new key by the recovery key. */
const CONTESTED_MAX = 4
