/** This node's own key and how it changes (security rule 9). `KeyKeeper` implements it. */
import { Context, type Effect, Schema } from "effect"
import type { KeyChain } from "../../protocol/identity/KeyChain.ts"
import type * as KeyStatement from "../../protocol/identity/KeyStatement.ts"

/** Why a change of the key did not come about. The key is the one it was. */
export class OwnKeyError extends Schema.TaggedError<OwnKeyError>()("OwnKeyError", {
  reason: Schema.Literals([
    /** A new key is announced already. */
    "InProgress",
    "NothingInProgress",
    /** No recovery key is enrolled, or another one. */
    "NoRecoveryKey",
    "WrongRecoveryKey",
    /** The file could not be written. */
    "NotStored",
    /** The registry does not let the key move: the chain has forked, or the new key is somebody's. */
    "Refused",
    /** The registry could not be asked; it is asked again. */
    "Unavailable"
  ]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** As it is now. */
export interface OwnKeyStatus {
  readonly publicKey: Uint8Array
  readonly sequence: number
  readonly recovery: Uint8Array | undefined
  /** The new key, and from when on it can count. */
  readonly pending: { readonly publicKey: Uint8Array; readonly fromSeconds: number } | undefined
  /** What is to be known by others is at the registry. */
  readonly isPublished: boolean
  readonly chain: KeyChain
}

/** One change at a time; each is on disk before anybody hears of it. */
export class OwnKeys extends Context.Service<
  OwnKeys,
  {
    readonly status: Effect.Effect<OwnKeyStatus>
    /** Announces a new key, which takes the place of the present one in seven days. */
    readonly rotate: Effect.Effect<OwnKeyStatus, OwnKeyError>
    /** What the recovery key has to sign so that a new key counts at once. */
    readonly prepareRotation: Effect.Effect<KeyStatement.Draft, OwnKeyError>
    /** The new key of the last preparation, with that signature: moves the node to it. */
    readonly commitRotation: (signature: Uint8Array) => Effect.Effect<OwnKeyStatus, OwnKeyError>
    /** Takes the announced key back. */
    readonly cancel: Effect.Effect<OwnKeyStatus, OwnKeyError>
    /** What the recovery key has to sign to take back every new key that is announced, here or by whoever has stolen the key. */
    readonly prepareCancellation: Effect.Effect<ReadonlyArray<KeyStatement.Draft>, OwnKeyError>
    /** The signatures over the drafts of the last preparation, in their order. */
    readonly commitCancellation: (signatures: ReadonlyArray<Uint8Array>) => Effect.Effect<OwnKeyStatus, OwnKeyError>
    /** What a recovery key has to sign to be enrolled: itself, and its predecessor if `signer` is `recovery`. */
    readonly prepareEnrolment: (recovery: Uint8Array) => Effect.Effect<KeyStatement.Draft, OwnKeyError>
    readonly commitEnrolment: (signatures: {
      readonly consent: Uint8Array
      readonly predecessor: Uint8Array
    }) => Effect.Effect<OwnKeyStatus, OwnKeyError>
    /** The same for the draft whose bytes are given, which must be the last one, and names no predecessor. */
    readonly commitDrafted: (draft: Uint8Array, consent: Uint8Array) => Effect.Effect<OwnKeyStatus, OwnKeyError>
    /** Does what is due; called after each heartbeat. */
    readonly look: Effect.Effect<void>
  }
>()("effect-pilot/actors/identity/OwnKeys") {}
