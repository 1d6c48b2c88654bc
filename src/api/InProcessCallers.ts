/** What a node in this process knows of the peer at the other end of a stream: its keys, and what it is called. */
import { Effect, Option } from "effect"
import * as Names from "../actors/registry/Names.ts"
import type { RegistryClient } from "../actors/registry/RegistryClient.ts"
import { PeerKeys } from "../actors/trust/PeerKeys.ts"
import { Trust } from "../actors/trust/Trust.ts"
import { Crypto } from "../core/crypto/Crypto.ts"
import * as Bytes from "../core/data/Bytes.ts"
import * as Fingerprint from "../protocol/trust/Fingerprint.ts"
import * as Address from "../protocol/wire/Address.ts"
import type { Caller } from "./Caller.ts"

/** The key that it is trusted under; `undefined` for a stranger. */
export const trustedKey = Effect.fnUntraced(function* (
  remote: number
): Effect.fn.Return<Uint8Array | undefined, never, Trust> {
  const { trusted } = yield* Trust
  return (yield* trusted).find(({ node }) => node === remote)?.publicKey
})

/** The same with the keys it follows from, base64; empty for a stranger. */
export const trustedKeys = Effect.fnUntraced(function* (
  remote: number
): Effect.fn.Return<ReadonlyArray<string>, never, PeerKeys | Trust> {
  const { chains } = yield* PeerKeys
  const key = yield* trustedKey(remote)
  return key === undefined ? [] : [key, ...chains.formerKeys(Address.NodeId(remote))].map(Bytes.toBase64)
})

/** The key is the one of the trust list, under which its tunnel was opened; the name is what the registry says now. */
export const caller = Effect.fnUntraced(function* (
  remote: Address.Address
): Effect.fn.Return<Caller["Service"], never, Crypto | PeerKeys | RegistryClient | Trust> {
  const { sha256 } = yield* Crypto
  const key = yield* trustedKey(remote.node)
  const known = yield* Effect.option(Effect.timeout(Names.recent(remote.node), NAME_TIMEOUT))
  const isOfKey = key !== undefined && Option.isSome(known) && Bytes.equals(known.value.publicKey, key)
  return {
    node: remote.node,
    address: Address.format(Address.make(0, remote.node)),
    hostname: isOfKey ? known.value.hostname : "",
    fingerprint: key === undefined ? "" : Fingerprint.format(sha256(key)),
    publicKey: key === undefined ? "" : Bytes.toBase64(key)
  }
})

/** A registry that keeps silent must not keep a call waiting. */
const NAME_TIMEOUT = "2 seconds"
