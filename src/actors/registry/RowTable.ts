/** Rows in memory: what a store holds after a series of changes, by the keys that its tables have. */
import type { Change, Rows } from "../../protocol/registry/Change.ts"

/** Rows by key. Mutable, with one owner. */
export interface RowTable {
  readonly nodes: Map<number, Rows["nodes"][number]>
  readonly trust: Map<string, Rows["trust"][number]>
  readonly requests: Map<string, Rows["requests"][number]>
  readonly responses: Map<string, Rows["responses"][number]>
  readonly cards: Map<string, Rows["cards"][number]>
}

/** A table that holds these rows. */
export const make = (rows: Rows): RowTable => ({
  nodes: new Map(rows.nodes.map((record) => [record.id, record])),
  trust: new Map(rows.trust.map((row) => [key(row.from, row.to), row])),
  requests: new Map(rows.requests.map((row) => [key(row.target, row.request.from), row])),
  responses: new Map(rows.responses.map((row) => [key(row.requester, row.response.from), row])),
  cards: new Map(rows.cards.map((row) => [key(row.node, row.service), row]))
})

/** Applies changes in order. */
export const apply = (self: RowTable, changes: ReadonlyArray<Change>): void => {
  for (const change of changes) applyOne(self, change)
}

/** Everything held. */
export const rows = (self: RowTable): Rows => ({
  nodes: [...self.nodes.values()],
  trust: [...self.trust.values()],
  requests: [...self.requests.values()],
  responses: [...self.responses.values()],
  cards: [...self.cards.values()]
})

const applyOne = (self: RowTable, change: Change): void => {
  switch (change._tag) {
    case "NodeStored":
      self.nodes.set(change.record.id, change.record)
      return
    case "TrustStored":
      self.trust.set(key(change.from, change.to), { from: change.from, to: change.to })
      return
    case "TrustRemoved":
      self.trust.delete(key(change.from, change.to))
      return
    case "RequestStored":
      self.requests.set(key(change.target, change.request.from), { target: change.target, request: change.request })
      return
    case "RequestRemoved":
      self.requests.delete(key(change.target, change.from))
      return
    case "ResponseStored": {
      const row = { requester: change.requester, response: change.response }
      self.responses.set(key(change.requester, change.response.from), row)
      return
    }
    case "ResponseRemoved":
      self.responses.delete(key(change.requester, change.from))
      return
    case "CardStored": {
      const { node, service, signed } = change
      self.cards.set(key(node, service), { node, service, signed })
      return
    }
    case "CardRemoved":
      self.cards.delete(key(change.node, change.service))
      return
  }
}

const key = (a: number, b: number | string): string => `${a} ${b}`
