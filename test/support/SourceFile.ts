/** A source file as the architecture test sees it: what it imports, exports, names freely and casts. */
import { readdirSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import { parseSync, Visitor } from "rolldown/utils"

/** One `import … from`, `export … from` or `import()`. */
export interface Import {
  readonly specifier: string
  /** The imported file, relative to the root, when the specifier is a relative path. */
  readonly target: string | undefined
  readonly names: ReadonlyArray<string>
}

/** One exported name that is declared in the file. */
export interface Export {
  readonly name: string
  readonly line: number
  /** A docstring stands before it, or before the type of the same name that it accompanies. */
  readonly isDocumented: boolean
}

/** All positions are line numbers. */
export interface SourceFile {
  /** Relative to the root of the repository. */
  readonly path: string
  readonly text: string
  readonly lineCount: number
  readonly hasModuleDocstring: boolean
  readonly imports: ReadonlyArray<Import>
  readonly exports: ReadonlyArray<Export>
  readonly hasDefaultExport: boolean
  /** Names used but not declared in the file: globals, with the line of their first use. */
  readonly globals: ReadonlyMap<string, number>
  /** `as any`, `as unknown as`, and directives that silence the compiler. */
  readonly silencings: ReadonlyArray<number>
}

/** Every TypeScript file below a folder of the repository, parsed. */
export const readAll = (root: string, folder: string): ReadonlyArray<SourceFile> =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .toSorted()
    .map((path) => parse(path, readFileSync(join(root, path), "utf8")))

/** Parses one file; a syntax error throws. */
export const parse = (path: string, text: string): SourceFile => {
  const { comments, errors, program } = parseSync(path, text)
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`)
  const lineAt = (offset: number) => text.slice(0, offset).split("\n").length
  const docstrings = comments.filter(({ type, value }) => type === "Block" && value.startsWith("*"))
  const isDocumented = (offset: number) =>
    docstrings.some(({ end }) => end <= offset && text.slice(end, offset).trim() === "")
  const found = collect(program)
  const typesDocumented = new Set(
    found.declarations.filter(({ isType, start }) => isType && isDocumented(start)).map(({ name }) => name)
  )
  return {
    path,
    text,
    lineCount: text.trimEnd().split("\n").length,
    hasModuleDocstring: docstrings[0]?.start === 0 || (text.startsWith("#!") && docstrings.length > 0),
    imports: found.imports.map((one) => ({ ...one, target: resolve(path, one.specifier) })),
    exports: found.declarations.map(({ name, start }) => ({
      name,
      line: lineAt(start),
      isDocumented: isDocumented(start) || typesDocumented.has(name)
    })),
    hasDefaultExport: found.hasDefaultExport,
    globals: new Map(
      [...found.uses].filter(([name]) => !found.bound.has(name)).map(([name, offset]) => [name, lineAt(offset)])
    ),
    silencings: [
      ...found.casts.map(lineAt),
      ...comments
        .filter(({ value }) => /@ts-(ignore|nocheck|expect-error)/.test(value))
        .map(({ start }) => lineAt(start))
    ]
  }
}

type Program = ReturnType<typeof parseSync>["program"]

const collect = (program: Program) => {
  const imports: Array<{ readonly specifier: string; readonly names: ReadonlyArray<string> }> = []
  const declarations: Array<{ readonly name: string; readonly start: number; readonly isType: boolean }> = []
  const casts: Array<number> = []
  const uses = new Map<string, number>()
  const bound = new Set<string>()
  /** Offsets of identifiers that are names of properties, not of variables. */
  const properties = new Set<number>()
  let hasDefaultExport = false
  const bind = (pattern: { readonly type: string; readonly name?: string }) => {
    if (pattern.type === "Identifier" && pattern.name !== undefined) bound.add(pattern.name)
  }
  const bindParams = ({ params }: { readonly params: ReadonlyArray<{ readonly type: string }> }) => params.forEach(bind)

  new Visitor({
    ImportDeclaration: ({ source, specifiers }) => {
      const names = specifiers.map((one) =>
        one.type === "ImportSpecifier" && one.imported.type === "Identifier" ? one.imported.name : "*"
      )
      for (const { local } of specifiers) bound.add(local.name)
      imports.push({ specifier: source.value, names })
    },
    ImportExpression: ({ source }) => {
      if (source.type === "Literal" && typeof source.value === "string")
        imports.push({ specifier: source.value, names: ["*"] })
    },
    ExportAllDeclaration: ({ source }) => void imports.push({ specifier: source.value, names: ["*"] }),
    ExportDefaultDeclaration: () => {
      hasDefaultExport = true
    },
    ExportNamedDeclaration: ({ declaration, source, specifiers, start }) => {
      if (source !== null) imports.push({ specifier: source.value, names: specifiers.map(() => "*") })
      if (declaration === null) return
      if (declaration.type === "VariableDeclaration") {
        for (const { id } of declaration.declarations) {
          if (id.type === "Identifier") declarations.push({ name: id.name, start, isType: false })
        }
      } else if ("id" in declaration && declaration.id?.type === "Identifier") {
        const isType = declaration.type === "TSTypeAliasDeclaration" || declaration.type === "TSInterfaceDeclaration"
        declarations.push({ name: declaration.id.name, start, isType })
      }
    },
    VariableDeclarator: ({ id }) => bind(id),
    FunctionDeclaration: (node) => {
      if (node.id !== null) bind(node.id)
      bindParams(node)
    },
    FunctionExpression: bindParams,
    ArrowFunctionExpression: bindParams,
    ClassDeclaration: ({ id }) => {
      if (id !== null) bind(id)
    },
    MemberExpression: ({ computed, property }) => {
      if (!computed) properties.add(property.start)
    },
    Property: ({ key, shorthand }) => {
      if (!shorthand) properties.add(key.start)
    },
    TSPropertySignature: ({ key }) => void properties.add(key.start),
    TSQualifiedName: ({ right }) => void properties.add(right.start),
    PropertyDefinition: ({ key }) => void properties.add(key.start),
    MethodDefinition: ({ key }) => void properties.add(key.start),
    Identifier: ({ name, start }) => {
      if (!properties.has(start) && !uses.has(name)) uses.set(name, start)
    },
    TSAsExpression: ({ expression, start, typeAnnotation }) => {
      const isDouble = expression.type === "TSAsExpression" && expression.typeAnnotation.type === "TSUnknownKeyword"
      if (typeAnnotation.type === "TSAnyKeyword" || isDouble) casts.push(start)
    }
  }).visit(program)
  return { imports, declarations, casts, uses, bound, hasDefaultExport }
}

const resolve = (from: string, specifier: string): string | undefined =>
  specifier.startsWith(".") ? join(from, "..", specifier) : undefined
