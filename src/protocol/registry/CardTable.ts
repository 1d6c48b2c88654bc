/**
 * Public capability cards at a registry, and the words by which they are found. Bounded for each node and as a whole; owned
 * by `Registry`, and mutable.
 */
import * as CapabilitySearch from "../directory/CapabilitySearch.ts"
import type { SignedCard } from "../directory/SignedCard.ts"
import type { NodeId } from "../wire/Address.ts"

/** Cards of nodes that are registered now. */
export interface CardTable {
  readonly byNode: Map<NodeId, Map<string, Stored>>
  readonly byTerm: Map<string, Set<Stored>>
  count: number
}

/** One card. */
export interface Stored {
  readonly node: NodeId
  readonly signed: SignedCard
  readonly terms: ReadonlySet<string>
}

/** No cards. */
export const make = (): CardTable => ({ byNode: new Map(), byTerm: new Map(), count: 0 })

/** The card of a node's service. */
export const find = (self: CardTable, node: NodeId, service: string): SignedCard | undefined =>
  self.byNode.get(node)?.get(service)?.signed

/** Whether one more card of the node fits; one that takes another's place always does. */
export const hasRoom = (self: CardTable, node: NodeId, service: string): boolean => {
  const own = self.byNode.get(node)
  if (own?.has(service) === true) return true
  return (own?.size ?? 0) < CARDS_PER_NODE_MAX && self.count < CARDS_MAX
}

/** Adds or replaces. */
export const put = (self: CardTable, node: NodeId, signed: SignedCard): void => {
  remove(self, node, signed.card.service)
  const stored: Stored = { node, signed, terms: CapabilitySearch.termsOf(signed.card) }
  const own = self.byNode.get(node) ?? new Map<string, Stored>()
  self.byNode.set(node, own.set(signed.card.service, stored))
  for (const term of stored.terms) self.byTerm.set(term, (self.byTerm.get(term) ?? new Set()).add(stored))
  self.count++
}

/** Removes one; false if there was none. */
export const remove = (self: CardTable, node: NodeId, service: string): boolean => {
  const own = self.byNode.get(node)
  const stored = own?.get(service)
  if (own === undefined || stored === undefined) return false
  own.delete(service)
  if (own.size === 0) self.byNode.delete(node)
  for (const term of stored.terms) {
    const found = self.byTerm.get(term)
    found?.delete(stored)
    if (found?.size === 0) self.byTerm.delete(term)
  }
  self.count--
  return true
}

/** The services of which a node has cards. */
export const servicesOf = (self: CardTable, node: NodeId): ReadonlyArray<string> => [
  ...(self.byNode.get(node)?.keys() ?? [])
]

/** Cards that expire until then. */
export const expired = (self: CardTable, nowSeconds: number): ReadonlyArray<Stored> =>
  [...self.byNode.values()]
    .flatMap((own) => [...own.values()])
    .filter(({ signed }) => signed.card.expiresAt <= nowSeconds)

/** The cards that share the most and the rarest words with the question: those worth ranking. */
export const candidates = (self: CardTable, terms: Iterable<string>): ReadonlyArray<Stored> => {
  const weights = new Map<Stored, number>()
  const sets = [...new Set(terms)].slice(0, TERMS_MAX).flatMap((term) => self.byTerm.get(term) ?? [])
  let left = VISITED_MAX
  for (const set of sets.toSorted((a, b) => a.size - b.size)) {
    const rarity = Math.log(1 + self.count / set.size)
    for (const stored of set) {
      if (left-- <= 0) break
      weights.set(stored, (weights.get(stored) ?? 0) + rarity)
    }
  }
  return [...weights]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, CANDIDATES_MAX)
    .map(([stored]) => stored)
}

/** Cards of one node. */
export const CARDS_PER_NODE_MAX = 16
/** Cards of all nodes. */
export const CARDS_MAX = 20_000
/** Cards ranked for one question; the registry does nothing else meanwhile. */
export const CANDIDATES_MAX = 64
/** Entries of the index looked at for one question, and words of it that count. */
const VISITED_MAX = 20_000
const TERMS_MAX = 64
