/**
 * Public capability cards at the registry: an extension of ours, three requests that the reference answers as unknown.
 * A card is stored only when it is signed by the key that its node is registered under, says that it is public, and comes in
 * a request that this node signed: nobody publishes what somebody else told him in confidence. Who finds a card checks it
 * again; the registry proves nothing.
 */
import { Result } from "effect"
import * as Json from "../../core/data/Json.ts"
import { parametersOf } from "../directory/CapabilityCard.ts"
import * as CapabilitySearch from "../directory/CapabilitySearch.ts"
import * as SignedCard from "../directory/SignedCard.ts"
import { NodeId } from "../wire/Address.ts"
import * as Signature from "../wire/RegistrySignature.ts"
import * as CardTable from "./CardTable.ts"
import { Change } from "./Change.ts"
import type { Instant } from "./Instant.ts"
import * as NodeTable from "./NodeTable.ts"
import * as Refusal from "./Refusal.ts"
import { answer, type Operation, type RegistryState, requireSigner } from "./RegistryState.ts"
import * as SourceLimits from "./SourceLimits.ts"

/** `publish_card`: adds or replaces the card of one service. The same card again changes nothing. */
export const publish: Operation = (state, { at, fields, source }) =>
  Result.gen(function* () {
    if (!SourceLimits.take(state.limits, "card", source.host, at.nowMs)) {
      return yield* Refusal.fail("rate_limited", `rate limited: too many cards from ${source.host}`)
    }
    const id = NodeId(Json.unsigned(fields, "node_id", 32))
    const value = Json.member(fields, "signed_card")
    if (!Json.isObject(value)) return yield* Refusal.fail("field_required", "publish_card requires signed_card")
    const claimed = Json.member(value, "card")
    const service = Json.isObject(claimed) ? Json.string(claimed, "service") : ""
    const sequence = Json.isObject(claimed) ? Json.integer(claimed, "sequence") : 0
    const message = Signature.publishCard(id, service, sequence)
    const node = yield* requireSigner(state, id, message, Json.string(fields, "signature"))
    const signed = yield* Result.mapError(
      SignedCard.decode(value, {
        verify: state.verify,
        nowSeconds: at.unixSeconds,
        publicKey: node.publicKey,
        node: id
      }),
      ({ detail, reason }) => Refusal.make("card_refused", `${reason}: ${detail}`)
    )
    if (!signed.card.isPublic) return yield* Refusal.fail("card_refused", "NotPublic: the card is not for everybody")
    const known = CardTable.find(state.cards, id, service)
    if (known !== undefined && known.card.sequence >= sequence) {
      return known.signature === signed.signature
        ? yield* answer(members(id, service, sequence))
        : yield* Refusal.fail("card_refused", `RolledBack: a newer card is stored (${known.card.sequence})`)
    }
    if (!CardTable.hasRoom(state.cards, id, service)) {
      return yield* Refusal.fail("limit_exceeded", "no room for another card")
    }
    CardTable.put(state.cards, id, signed)
    return yield* answer(members(id, service, sequence), [Change.CardStored({ node: id, service, signed: value })])
  })

/** `withdraw_card`: removes the card of one service; one that is not there is no error. */
export const withdraw: Operation = (state, { fields }) => {
  const id = NodeId(Json.unsigned(fields, "node_id", 32))
  const service = Json.string(fields, "service").slice(0, SERVICE_CHARACTERS_MAX)
  const signed = requireSigner(state, id, Signature.withdrawCard(id, service), Json.string(fields, "signature"))
  return Result.flatMap(signed, () =>
    answer({ node_id: id, service }, CardTable.remove(state.cards, id, service) ? [removed(id, service)] : [])
  )
}

/** `search_cards`: open to anybody, as `lookup` is; whoever asks much waits. */
export const search: Operation = (state, { at, fields, source }) => {
  if (!SourceLimits.take(state.limits, "search", source.host, at.nowMs)) {
    return Refusal.fail("rate_limited", `rate limited: too many searches from ${source.host}`)
  }
  const words = Json.string(fields, "query").slice(0, QUERY_CHARACTERS_MAX)
  const schema = Json.member(fields, "schema")
  const parameters = Json.isObject(schema) ? parametersOf(schema) : []
  const terms = CapabilitySearch.termsIn([words, ...parameters.map(({ name }) => name)].join(" "))
  const current = CardTable.candidates(state.cards, terms).filter(
    ({ node, signed }) => signed.card.expiresAt > at.unixSeconds && NodeTable.present(state.nodes, node) !== undefined
  )
  const limit = Math.min(RESULTS_MAX, Json.unsigned(fields, "limit", 16) || RESULTS_MAX)
  const found = CapabilitySearch.rank(current, ({ signed }) => signed.card, { words, parameters, limit })
  return answer({
    cards: found.map(({ from }) => ({
      node_id: from.node,
      hostname: NodeTable.present(state.nodes, from.node)?.hostname ?? "",
      ...SignedCard.encode(from.signed)
    }))
  })
}

/** Removes all cards of a node: it has left, or has another key now. */
export const forget = (state: RegistryState, node: NodeId): ReadonlyArray<Change> =>
  CardTable.servicesOf(state.cards, node).map((service) => {
    CardTable.remove(state.cards, node, service)
    return removed(node, service)
  })

/** Removes what has expired. */
export const sweep = (state: RegistryState, at: Instant): ReadonlyArray<Change> =>
  CardTable.expired(state.cards, at.unixSeconds).map(({ node, signed }) => {
    CardTable.remove(state.cards, node, signed.card.service)
    return removed(node, signed.card.service)
  })

const removed = (node: NodeId, service: string): Change => Change.CardRemoved({ node, service })

const members = (node: NodeId, service: string, sequence: number) => ({ node_id: node, service, sequence })

/** Cards in one answer, whatever is asked for: 16 KiB each, in a frame of 1 MiB. */
export const RESULTS_MAX = 20
const QUERY_CHARACTERS_MAX = 500
const SERVICE_CHARACTERS_MAX = 64
