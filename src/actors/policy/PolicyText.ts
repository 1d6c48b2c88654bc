/**
 * `policy.jsonc` as text: JSON with comments and trailing commas. Whatever is wrong has a line and a column, and is found
 * before anything of the policy is used: what two readers could read differently is wrong too.
 */
import { Result, Schema, SchemaIssue } from "effect"
import {
  createScanner,
  findNodeAtLocation,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode
} from "jsonc-parser"
import * as Policy from "../../protocol/policy/Policy.ts"
import { DOCUMENT_BYTES_MAX, PolicyDocument } from "../../protocol/policy/PolicyDocument.ts"

/** What is wrong, and where: lines and columns begin with 1. */
export class PolicyProblem extends Schema.TaggedError<PolicyProblem>()("PolicyProblem", {
  line: Schema.Int,
  column: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `line ${this.line}, column ${this.column}: ${this.detail}`
  }
}

/** The policy that the text says. */
export const parse = (text: string): Result.Result<Policy.Policy, PolicyProblem> => {
  if (text.length > DOCUMENT_BYTES_MAX) return at(text, 0, `longer than ${DOCUMENT_BYTES_MAX} characters`)
  const tooDeep = depthProblem(text)
  if (tooDeep !== undefined) return at(text, tooDeep, `nested deeper than ${DEPTH_MAX}`)
  const errors: Array<ParseError> = []
  const tree = parseTree(text, errors, { allowTrailingComma: true, disallowComments: false })
  const first = errors[0]
  if (first !== undefined) return at(text, first.offset, SYNTAX[printParseErrorCode(first.error)] ?? "not JSON")
  if (tree === undefined) return at(text, 0, "the file is empty")
  const repeated = repeatedKey(tree)
  if (repeated !== undefined) return at(text, repeated.offset, `${JSON.stringify(repeated.value)} cannot be a key here`)
  const decoded = Schema.decodeUnknownResult(PolicyDocument, { onExcessProperty: "error" })(valueOf(tree))
  if (Result.isFailure(decoded)) {
    const [issue] = SchemaIssue.makeFormatterStandardSchemaV1()(decoded.failure.issue).issues
    const path = (issue?.path ?? []).map((part) => (typeof part === "object" ? part.key : part))
    return at(text, offsetOf(tree, path), `${issue?.message ?? decoded.failure.message}${pathText(path)}`)
  }
  return Result.mapError(Policy.compile(decoded.success), ({ detail, path }) =>
    problemAt(text, offsetOf(tree, path), `${detail}${pathText(path)}`)
  )
}

const at = (text: string, offset: number, detail: string): Result.Result<never, PolicyProblem> =>
  Result.fail(problemAt(text, offset, detail))

const problemAt = (text: string, offset: number, detail: string): PolicyProblem => {
  const before = text.slice(0, offset)
  const lines = before.split("\n")
  return new PolicyProblem({ line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1, detail })
}

/** `rules[0].who[1]`. */
const pathText = (path: ReadonlyArray<PropertyKey>): string => {
  const text = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("")
  return text === "" ? "" : ` (${text.replace(/^\./, "")})`
}

/** Of the value, or of the innermost one on the way to it that is there. */
const offsetOf = (tree: Node, path: ReadonlyArray<PropertyKey>): number => {
  const parts = path.filter((part) => typeof part !== "symbol")
  for (let length = parts.length; length > 0; length--) {
    const node = findNodeAtLocation(tree, parts.slice(0, length))
    if (node !== undefined) return node.offset
  }
  return tree.offset
}

/** Where brackets are too deep for whoever reads them by recursion. */
const depthProblem = (text: string): number | undefined => {
  const scanner = createScanner(text, true)
  let depth = 0
  // Kinds of the scanner: braces and brackets, opened and closed; 17 is the end.
  for (let kind = scanner.scan(); kind !== END_OF_TEXT; kind = scanner.scan()) {
    if (OPENING.has(kind)) depth++
    else if (CLOSING.has(kind)) depth--
    if (depth > DEPTH_MAX) return scanner.getTokenOffset()
  }
  return undefined
}

/** A key that is there twice, or one that means something else to programs. */
const repeatedKey = (node: Node): Node | undefined => {
  const seen = new Set<unknown>()
  for (const child of node.children ?? []) {
    const key = child.type === "property" ? child.children?.[0] : undefined
    if (key !== undefined) {
      if (seen.has(key.value) || key.value === "__proto__") return key
      seen.add(key.value)
    }
    const inner = repeatedKey(child)
    if (inner !== undefined) return inner
  }
  return undefined
}

const valueOf = (node: Node): unknown => {
  if (node.type === "array") return (node.children ?? []).map(valueOf)
  if (node.type !== "object") return node.value
  return Object.fromEntries(
    (node.children ?? []).map(({ children = [] }) => [
      String(children[0]?.value),
      children[1] === undefined ? undefined : valueOf(children[1])
    ])
  )
}

const SYNTAX: Readonly<Record<string, string>> = {
  InvalidSymbol: "neither a value nor a sign of JSON",
  InvalidNumberFormat: "not a number",
  PropertyNameExpected: "a key in double quotes should be here",
  ValueExpected: "a value should be here",
  ColonExpected: "a colon should be here",
  CommaExpected: "a comma should be here",
  CloseBraceExpected: "the file ends inside an object: } is missing",
  CloseBracketExpected: "the file ends inside a list: ] is missing",
  EndOfFileExpected: "nothing may follow the policy",
  UnexpectedEndOfComment: "a comment does not end",
  UnexpectedEndOfString: "a string does not end",
  UnexpectedEndOfNumber: "a number does not end",
  InvalidUnicode: "not a character: \\u and four hexadecimal digits",
  InvalidEscapeCharacter: "no such escape in a string",
  InvalidCharacter: "a character that JSON does not have there"
}
const DEPTH_MAX = 32
const OPENING: ReadonlySet<number> = new Set([1, 3])
const CLOSING: ReadonlySet<number> = new Set([2, 4])
const END_OF_TEXT = 17
