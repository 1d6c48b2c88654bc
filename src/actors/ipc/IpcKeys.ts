/**
 * Keys as the daemon's clients see and change them (`IpcExtension`; security rule 9). Keys and signatures are in base64.
 *
 * | op | takes | answers |
 * |---|---|---|
 * | `key.status` | | `public_key fingerprint key_generation recovery_fingerprint pending_… published key_chain` |
 * | `key.rotate` | | the same: a new key is announced |
 * | `key.prepare` | | `draft`: what the recovery key signs |
 * | `key.commit` | `signature` | as `key.status`: the key has moved |
 * | `key.cancel` | | as `key.status` |
 * | `key.cancel.prepare` | | `drafts`: what the recovery key signs to take back whatever new keys are announced |
 * | `key.cancel.commit` | `signatures` | as `key.status` |
 * | `recovery.prepare` | `recovery` | `draft`, `needs_predecessor` |
 * | `recovery.commit` | `consent`, `predecessor` | as `key.status` |
 * | `trust.rotations` | | `rotations [node_id, state, fingerprint, …]` |
 * | `trust.rotation.refuse` | `node` | `node_id fingerprint` |
 */
import { Effect } from "effect"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as KeyChain from "../../protocol/identity/KeyChain.ts"
import * as KeyStatement from "../../protocol/identity/KeyStatement.ts"
import * as Address from "../../protocol/wire/Address.ts"
import type { OwnKeyError, OwnKeyStatus, OwnKeys } from "../identity/OwnKeys.ts"
import { Node } from "../node/Node.ts"
import { PeerKeys } from "../trust/PeerKeys.ts"
import * as IpcAnswer from "./IpcAnswer.ts"

type Services = PeerKeys | Crypto
type Keys = OwnKeys["Service"] | undefined

/** The answer; `undefined` for an operation of others. */
export const perform = (
  keys: Keys,
  op: string,
  value: Json.JsonObject
): Effect.Effect<Json.JsonObject, string, Services> | undefined => {
  switch (op) {
    case "key.status":
      return own(keys, op, ({ status }) => status)
    case "key.rotate":
      return own(keys, op, ({ rotate }) => rotate)
    case "key.commit":
      return own(keys, op, ({ commitRotation }) => commitRotation(bytes(value, "signature")))
    case "key.cancel":
      return own(keys, op, ({ cancel }) => cancel)
    case "key.cancel.commit":
      return own(keys, op, ({ commitCancellation }) =>
        commitCancellation(Json.strings(value, "signatures").map(ofText))
      )
    case "key.cancel.prepare":
      return Effect.map(
        refusing(op, keys, ({ prepareCancellation }) => prepareCancellation),
        (drafts) => ({ drafts: drafts.map((draft) => Bytes.toBase64(KeyStatement.signedBytes(draft))) })
      )
    case "recovery.commit":
      return own(keys, op, ({ commitEnrolment }) =>
        commitEnrolment({ consent: bytes(value, "consent"), predecessor: bytes(value, "predecessor") })
      )
    case "key.prepare":
      return drafted(keys, op, ({ prepareRotation }) => prepareRotation)
    case "recovery.prepare":
      return drafted(keys, op, ({ prepareEnrolment }) => prepareEnrolment(bytes(value, "recovery")))
    case "trust.rotations":
      return rotations
    case "trust.rotation.refuse":
      return refuse(Address.NodeId(Json.unsigned(value, "node", 32)))
    default:
      return undefined
  }
}

/** The newer RotateKey (node §1.9): the key is announced, and the reply says from when on it counts. */
export const rotate = (keys: Keys): Effect.Effect<Json.JsonObject, string, Services | Node> =>
  replied(keys, "rotate_key", "0x25", (found) => found.rotate)

/** The newer EnrollRecovery (node §1.9), over what this daemon has drafted for the key: the reference's format is not known. */
export const enrol = (
  keys: Keys,
  enrollment: string,
  signature: string
): Effect.Effect<Json.JsonObject, string, Services | Node> =>
  replied(keys, "enroll_recovery", "0x31", (found) => found.commitDrafted(ofText(enrollment), ofText(signature)))

const replied = (
  keys: Keys,
  command: string,
  opcode: string,
  use: (keys: OwnKeys["Service"]) => Effect.Effect<OwnKeyStatus, OwnKeyError>
): Effect.Effect<Json.JsonObject, string, Services | Node> =>
  keys === undefined
    ? Effect.fail(`unknown command: ${opcode}`)
    : Effect.gen(function* () {
        const status = yield* own(keys, command, use)
        const { node } = yield* Effect.flatMap(Node, ({ address }) => address)
        return { ...status, node_id: node, type: `${command}_ok` }
      })

const own = (
  keys: Keys,
  op: string,
  use: (keys: OwnKeys["Service"]) => Effect.Effect<OwnKeyStatus, OwnKeyError>
): Effect.Effect<Json.JsonObject, string, Services> =>
  Effect.gen(function* () {
    const fingerprint = yield* IpcAnswer.fingerprints
    const { chain, isPublished, pending, publicKey, recovery, sequence } = yield* refusing(op, keys, use)
    return {
      public_key: Bytes.toBase64(publicKey),
      fingerprint: fingerprint(publicKey),
      key_generation: sequence,
      published: isPublished,
      key_chain: KeyChain.toText(chain),
      ...(recovery && { recovery_fingerprint: fingerprint(recovery) }),
      ...(pending && { pending_fingerprint: fingerprint(pending.publicKey), pending_from: pending.fromSeconds })
    }
  })

const drafted = (
  keys: Keys,
  op: string,
  use: (keys: OwnKeys["Service"]) => Effect.Effect<KeyStatement.Draft, OwnKeyError>
): Effect.Effect<Json.JsonObject, string, Services> =>
  Effect.map(refusing(op, keys, use), (draft) => ({
    draft: Bytes.toBase64(KeyStatement.signedBytes(draft)),
    needs_predecessor: draft.kind === "enrol" && draft.signer === "recovery"
  }))

const refusing = <A>(
  op: string,
  keys: Keys,
  use: (keys: OwnKeys["Service"]) => Effect.Effect<A, OwnKeyError>
): Effect.Effect<A, string> =>
  keys === undefined
    ? Effect.fail(`unknown operation: ${op}`)
    : Effect.mapError(use(keys), ({ detail, reason }) => `${op}: ${reason}: ${detail}`)

/** Peers whose keys are about to change, have changed, or have forked. */
const rotations: Effect.Effect<Json.JsonObject, never, PeerKeys | Crypto> = Effect.gen(function* () {
  const fingerprint = yield* IpcAnswer.fingerprints
  const { chains } = yield* PeerKeys
  const rows = [...chains.standings()].map(([node, { current, fork, path, pending, recovery }]) => ({
    node_id: node,
    state: fork !== undefined ? "forked" : pending !== undefined ? "announced" : "settled",
    fingerprint: fingerprint(current),
    former_fingerprints: path.slice(0, -1).map(fingerprint),
    ...(recovery && { recovery_fingerprint: fingerprint(recovery.key), recovery_from: recovery.fromSeconds }),
    ...(pending && { next_fingerprint: fingerprint(pending.next), next_from: pending.fromSeconds }),
    ...(fork && { rivals: fork.map(fingerprint) })
  }))
  return { rotations: rows }
})

const refuse = Effect.fnUntraced(function* (node: Address.NodeId) {
  const fingerprint = yield* IpcAnswer.fingerprints
  const { chains } = yield* PeerKeys
  const refused = yield* chains.refuse(node)
  if (refused === undefined) return yield* Effect.fail(`trust.rotation.refuse: node ${node} has announced no new key`)
  return { node_id: node, fingerprint: fingerprint(refused) }
})

const bytes = (value: Json.JsonObject, name: string): Uint8Array => ofText(Json.string(value, name))

const ofText = (text: string): Uint8Array => Bytes.fromBase64(text) ?? Bytes.empty
