/**
 * Capability cards as the daemon's clients ask for them (`IpcExtension`): signing cards of this node, which are then shown to
 * others or given to the registry, and searching the registry's.
 *
 * | op | takes | answers |
 * |---|---|---|
 * | `card.sign` | `card` | `card signature` |
 * | `card.publish` | `signed` | |
 * | `card.withdraw` | `service` | |
 * | `card.search` | `query schema limit` | `cards [node_id hostname signed pinned]`, not checked |
 */
import { Clock, Effect, Result } from "effect"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as SignedCard from "../../protocol/directory/SignedCard.ts"
import { Node } from "../node/Node.ts"
import { RegistryClient } from "../registry/RegistryClient.ts"
import { PeerKeys } from "../trust/PeerKeys.ts"
import * as IpcAnswer from "./IpcAnswer.ts"

/** Signs a card of this node, and nothing that is none. */
export const sign = Effect.fnUntraced(function* (
  value: Json.JsonObject
): Effect.fn.Return<Json.JsonObject, string, Node | RegistryClient | Crypto> {
  const { address, publicKey } = yield* Effect.flatMap(Node, (node) => node.status)
  const { cards } = yield* RegistryClient
  const { verify } = yield* Crypto
  const nowSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  const card = Json.member(value, "card")
  if (!Json.isObject(card)) return yield* Effect.fail("card.sign: missing card")
  const signed = cards.sign(card)
  const decoded = SignedCard.decode(signed, { verify, nowSeconds, publicKey, node: address.node })
  return Result.isSuccess(decoded)
    ? signed
    : yield* Effect.fail(`card.sign: not a card of this node: ${decoded.failure.reason} ${decoded.failure.detail}`)
})

/** Gives a signed card of this node to the registry. */
export const publish = (value: Json.JsonObject): Effect.Effect<Json.JsonObject, string, RegistryClient> => {
  const signed = Json.member(value, "signed")
  return Effect.flatMap(RegistryClient, ({ cards }) =>
    IpcAnswer.refusing("card.publish", Effect.as(cards.publish(Json.isObject(signed) ? signed : {}), {}))
  )
}

/** Takes the card of a service back from the registry. */
export const withdraw = (value: Json.JsonObject): Effect.Effect<Json.JsonObject, string, RegistryClient> =>
  Effect.flatMap(RegistryClient, ({ cards }) =>
    IpcAnswer.refusing("card.withdraw", Effect.as(cards.withdraw(Json.string(value, "service")), {}))
  )

/** What the registry finds, each with the key that this node has pinned for its node. */
export const search = Effect.fnUntraced(function* (
  value: Json.JsonObject
): Effect.fn.Return<Json.JsonObject, string, RegistryClient | PeerKeys> {
  const { cards } = yield* RegistryClient
  const keys = yield* PeerKeys
  const schema = Json.member(value, "schema")
  const question = {
    query: Json.string(value, "query"),
    schema: Json.isObject(schema) ? schema : {},
    limit: Json.unsigned(value, "limit", 16)
  }
  const found = yield* IpcAnswer.refusing("card.search", cards.search(question))
  return {
    cards: found.map(({ hostname, node, signed }) => {
      const pinned = keys.pinned(node)
      return {
        node_id: node,
        hostname,
        signed,
        ...(pinned === undefined ? {} : { pinned: Bytes.toBase64(pinned) })
      }
    })
  }
})
