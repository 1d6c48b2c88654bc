/**
 * Services ranked by what their cards say (mcp §6.11): by words, as tools are searched everywhere (`ToolSearch`), and by the
 * arguments that a caller has, compared with those that tools take. The order depends on the cards and the question alone.
 */
import * as ToolSearch from "../mcp/ToolSearch.ts"
import type { CapabilityCard, CardParameter, CardTool } from "./CapabilityCard.ts"

/** What is looked for. One of the two may be empty; both empty find nothing. */
export interface Question {
  readonly words: string
  /** Arguments that the caller can give. */
  readonly parameters: ReadonlyArray<CardParameter>
  readonly limit: number
}

/** A tool that fits. Scores are between 0 and 1, and compare within one search. */
export interface ToolMatch {
  readonly tool: CardTool
  readonly score: number
}

/** A service that fits, with its best tools, the best first. */
export interface Match<C> {
  readonly from: C
  readonly score: number
  readonly tools: ReadonlyArray<ToolMatch>
}

/** The best `limit` services, the best first. `cardOf` says which card an entry has. */
export const rank = <C>(
  entries: ReadonlyArray<C>,
  cardOf: (entry: C) => CapabilityCard,
  question: Question
): ReadonlyArray<Match<C>> => {
  const sorted = entries.toSorted((a, b) => (keyOf(cardOf(a)) < keyOf(cardOf(b)) ? -1 : 1))
  const documents = sorted.flatMap((entry, at) => documentsOf(cardOf(entry), at))
  const hits = ToolSearch.search(ToolSearch.make(documents), question.words, documents.length)
  const best = hits.find(({ score }) => score < Number.MAX_VALUE)?.score ?? 1
  const byWords = new Map(hits.map(({ document, score }) => [document, Math.min(1, score / best)]))
  const hasWords = question.words.trim() !== ""
  const own = new Map<number, number>()
  const tools = new Map<number, Array<ToolMatch>>()
  for (const document of documents) {
    const words = byWords.get(document) ?? 0
    const { at, tool } = document
    if (tool === undefined) {
      own.set(at, words)
      continue
    }
    const fit = question.parameters.length === 0 ? 0 : fitOf(tool.parameters, question.parameters)
    const score = scoreOf(hasWords, words, question.parameters.length > 0, fit)
    if (score > 0) tools.set(at, [...(tools.get(at) ?? []), { tool, score }])
  }
  return sorted
    .flatMap((from, at) => {
      const found = (tools.get(at) ?? []).toSorted((a, b) => b.score - a.score || (a.tool.name < b.tool.name ? -1 : 1))
      // What only the service's own text says counts less than a tool that does it.
      const score = (1 - OWN_SHARE) * (found[0]?.score ?? 0) + OWN_SHARE * (own.get(at) ?? 0)
      return score > 0 ? [{ from, score, tools: found.slice(0, TOOLS_SHOWN) }] : []
    })
    .toSorted((a, b) => b.score - a.score)
    .slice(0, question.limit)
}

/** The words of a question, as cards are found by them. */
export const termsIn = (words: string): ReadonlyArray<string> => ToolSearch.terms(words)

/** The words by which a card may be found, each once. */
export const termsOf = (card: CapabilityCard): ReadonlySet<string> =>
  new Set(
    documentsOf(card, 0).flatMap(({ description, names, parameters, service, title }) =>
      ToolSearch.terms([...names, title, description, ...parameters, service].join(" "))
    )
  )

/**
 * How well what a tool takes fits what a caller has, between 0 and 1: each argument that has its like counts, one of another
 * type half; what the tool needs and the caller has not takes away.
 */
export const fitOf = (takes: ReadonlyArray<CardParameter>, has: ReadonlyArray<CardParameter>): number => {
  if (has.length === 0) return 0
  const covered = new Set<string>()
  let sum = 0
  for (const wanted of has) {
    let best = 0
    let like = ""
    for (const taken of takes) {
      const likeness = likenessOf(wanted.name, taken.name) * (isOfType(wanted.type, taken.type) ? 1 : 0.5)
      if (likeness > best) [best, like] = [likeness, taken.name]
    }
    if (best > 0) covered.add(like)
    sum += best
  }
  const missing = takes.filter(({ isRequired, name }) => isRequired && !covered.has(name)).length
  return (sum / has.length) * Math.max(MISSING_MIN, 1 - MISSING_SHARE * missing)
}

interface Document extends ToolSearch.Document {
  readonly at: number
  /** Undefined for the service itself. */
  readonly tool: CardTool | undefined
}

const documentsOf = (card: CapabilityCard, at: number): ReadonlyArray<Document> => [
  {
    at,
    tool: undefined,
    names: [card.service],
    title: card.title,
    description: card.description,
    parameters: [],
    service: ""
  },
  ...card.tools.map((tool) => ({
    at,
    tool,
    names: [tool.name],
    title: "",
    description: tool.description,
    parameters: tool.parameters.map(({ name }) => name),
    service: card.service
  }))
]

const scoreOf = (hasWords: boolean, words: number, hasParameters: boolean, fit: number): number => {
  if (!hasParameters) return words
  if (!hasWords) return fit
  // Arguments as common as `path` fit half of all tools, so words have to agree at least a little.
  return words === 0 ? 0 : WORDS_SHARE * words + (1 - WORDS_SHARE) * fit
}

/** 1 for the same words, less when they share some. */
const likenessOf = (a: string, b: string): number => {
  const [own, other] = [new Set(ToolSearch.terms(a)), new Set(ToolSearch.terms(b))]
  const shared = [...own].filter((term) => other.has(term)).length
  return shared === 0 ? 0 : shared / Math.max(own.size, other.size)
}

const isOfType = (a: string, b: string): boolean =>
  a === "" || b === "" || a === b || (NUMBERS.has(a) && NUMBERS.has(b))

const keyOf = ({ publicKey, sequence, service }: CapabilityCard): string => `${publicKey} ${service} ${sequence}`

const NUMBERS: ReadonlySet<string> = new Set(["integer", "number"])
const OWN_SHARE = 0.2
const WORDS_SHARE = 0.6
const MISSING_SHARE = 0.15
const MISSING_MIN = 0.4
/** Tools shown of one service. */
const TOOLS_SHOWN = 5
