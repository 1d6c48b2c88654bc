/**
 * Tools ranked by words (mcp §6.11): Okapi BM25 over the parts of the name, title, description and parameter names, where a
 * hit in a name counts more than one in a description. A tool whose name is the query comes first.
 */

/** What is known of one tool. `names` are what it may be called by in full. */
export interface Document {
  readonly names: ReadonlyArray<string>
  readonly title: string
  readonly description: string
  readonly parameters: ReadonlyArray<string>
  /** Where it comes from. */
  readonly service: string
}

/** Documents ready to be searched. */
export interface Index<D extends Document> {
  readonly documents: ReadonlyArray<D>
  readonly postings: ReadonlyMap<string, ReadonlyArray<Posting>>
  readonly lengths: ReadonlyArray<number>
  readonly averageLength: number
}

interface Posting {
  readonly document: number
  readonly weight: number
}

/** One result; scores compare within one search only. */
export interface Hit<D extends Document> {
  readonly document: D
  readonly score: number
}

/** An index over documents, in their order. */
export const make = <D extends Document>(documents: ReadonlyArray<D>): Index<D> => {
  const postings = new Map<string, Array<Posting>>()
  const lengths = documents.map((document, number) => {
    const weights = new Map<string, number>()
    for (const [text, weight] of fields(document)) {
      for (const term of terms(text)) weights.set(term, (weights.get(term) ?? 0) + weight)
    }
    let length = 0
    for (const [term, weight] of weights) {
      length += weight
      const known = postings.get(term)
      if (known === undefined) postings.set(term, [{ document: number, weight }])
      else known.push({ document: number, weight })
    }
    return length
  })
  const total = lengths.reduce((sum, length) => sum + length, 0)
  return {
    documents,
    postings,
    lengths,
    averageLength: documents.length === 0 ? 1 : Math.max(1, total / documents.length)
  }
}

/** The best `limit` documents, best first; equals in their order. Nothing that shares no word with the query. */
export const search = <D extends Document>(self: Index<D>, query: string, limit: number): ReadonlyArray<Hit<D>> => {
  const scores = new Map<number, number>()
  for (const term of meaningful(terms(query.slice(0, QUERY_CHARACTERS_MAX)))) {
    const found = self.postings.get(term) ?? []
    const rarity = Math.log(1 + (self.documents.length - found.length + 0.5) / (found.length + 0.5))
    for (const { document, weight } of found) {
      const length = (self.lengths[document] ?? 0) / self.averageLength
      const part = (rarity * weight * (K1 + 1)) / (weight + K1 * (1 - B + B * length))
      scores.set(document, (scores.get(document) ?? 0) + part)
    }
  }
  const exact = query.trim().toLowerCase()
  self.documents.forEach(({ names }, number) => {
    if (names.some((name) => name.toLowerCase() === exact)) scores.set(number, Number.MAX_VALUE)
  })
  return [...scores]
    .toSorted(([a, scoreA], [b, scoreB]) => scoreB - scoreA || a - b)
    .slice(0, limit)
    .flatMap(([number, score]) => {
      const document = self.documents[number]
      return document === undefined ? [] : [{ document, score }]
    })
}

/** The words of a text: camelCase and punctuation separate, case and endings do not count. */
export const terms = (text: string): ReadonlyArray<string> =>
  text
    .replace(/(\p{Ll}|\p{N})(\p{Lu})/gu, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "")
    .map(stem)

const fields = ({
  description,
  names,
  parameters,
  service,
  title
}: Document): ReadonlyArray<readonly [string, number]> => [
  [names[0] ?? "", NAME_WEIGHT],
  [title, TITLE_WEIGHT],
  [description, 1],
  [parameters.join(" "), 1],
  [service, 1]
]

/** Words that are in every description say nothing, unless there are no others. */
const meaningful = (all: ReadonlyArray<string>): ReadonlySet<string> => {
  const rare = all.filter((term) => !COMMON.has(term))
  return new Set(rare.length > 0 ? rare : all)
}

/** English endings taken off, crudely but the same on both sides: `translates`, `translating`, `translation` are one. */
const stem = (word: string): string => {
  for (const ending of ENDINGS) {
    if (word.length - ending.length >= STEM_MIN && word.endsWith(ending)) return word.slice(0, -ending.length)
  }
  return word
}

const ENDINGS = ["ations", "ation", "ions", "ings", "ion", "ing", "ers", "ies", "er", "es", "ed", "e", "s", "y"]
const STEM_MIN = 3
const COMMON: ReadonlySet<string> = new Set(
  "a an and any as at be by can do for from get how i in into is it me my of on or that the then this to tool use using want what with you your"
    .split(" ")
    .map(stem)
)
const NAME_WEIGHT = 3
const TITLE_WEIGHT = 2
/** The usual constants of BM25. */
const K1 = 1.2
const B = 0.75
/** A longer query is cut. */
const QUERY_CHARACTERS_MAX = 1000
