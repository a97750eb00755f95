import { readFileSync, readdirSync } from "node:fs";
import { join, posix } from "node:path";
import ts from "typescript";
import { ROOT } from "../../src/cli/package.ts";

const SKIPPED = new Set(["node_modules", "dist", "runs"]);

/** Paths of the files under a folder of the repository, relative to its root, sorted. */
export function filesUnder(folder: string, ending = ""): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = posix.join(folder, entry.name);
      if (!entry.isDirectory()) return entry.isFile() && path.endsWith(ending) ? [path] : [];
      return SKIPPED.has(entry.name) || entry.name.startsWith(".") ? [] : filesUnder(path, ending);
    })
    .sort();
}

/** Text of a file of the repository. */
export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** A comment of a file, with its place, such as `src/index.ts:1`. */
export interface FoundComment {
  place: string;
  text: string;
}

/** The forms of comments by the ending of a file; consecutive lines are one comment. */
const COMMENTS: Readonly<Record<string, RegExp>> = {
  ts: /\/\*[^]*?\*\/|(?:^[ \t]*\/\/.*\n?)+|[ \t]\/\/ .*$/gm,
  js: /\/\*[^]*?\*\/|(?:^[ \t]*\/\/.*\n?)+|[ \t]\/\/ .*$/gm,
  wgsl: /(?:^[ \t]*\/\/ .*\n?)+|[ \t]\/\/ .*$/gm,
  py: /(?:^[ \t]*# .*\n?)+|[ \t]# .*$/gm,
};

/** Returns the comments of a program or shader; none of any other file. */
export function commentsOf(path: string): FoundComment[] {
  const form = COMMENTS[path.slice(path.lastIndexOf(".") + 1)];
  if (form === undefined) return [];
  const text = textOf(path);
  return [...text.matchAll(form)].map(({ 0: found, index }) => ({
    place: `${path}:${lineCount(text.slice(0, index + 1))}`,
    text: found,
  }));
}

/** Lines of a text; a last newline starts no further line. */
export function lineCount(text: string): number {
  return text.replace(/\n$/, "").split("\n").length;
}

/**
 * Returns the imports of a file, re-exports included; files of the repository by their path from
 * its root.
 */
export function importsOf(path: string): string[] {
  return ts
    .preProcessFile(textOf(path), true, true)
    .importedFiles.map(({ fileName }) =>
      fileName.startsWith(".") ? posix.join(posix.dirname(path), fileName) : fileName,
    );
}

/**
 * The names that a file takes of another: the file by its path, and the names; `*` for all of them.
 */
export interface Taken {
  from: string;
  names: string[];
}

/**
 * Returns the names that a file takes of other files of the repository or of platform switches, by
 * imports, types of imports, dynamic imports, and exports of what it passes on.
 */
export function takenBy(path: string): Taken[] {
  const file = ts.createSourceFile(path, textOf(path), ts.ScriptTarget.Latest, true);
  const taken: Taken[] = [];
  const take = (specifier: ts.Node | undefined, names: string[]) => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
    const { text } = specifier;
    const from = text.startsWith(".") ? posix.join(posix.dirname(path), text) : text;
    taken.push({ from, names });
  };
  const listed = (elements: ts.NodeArray<ts.ImportSpecifier | ts.ExportSpecifier>) =>
    elements.map(({ propertyName, name }) => (propertyName ?? name).text);
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      const bindings = node.importClause?.namedBindings;
      if (bindings === undefined) take(node.moduleSpecifier, []);
      else if (ts.isNamespaceImport(bindings)) take(node.moduleSpecifier, ["*"]);
      else take(node.moduleSpecifier, listed(bindings.elements));
    } else if (ts.isExportDeclaration(node)) {
      const { exportClause: clause } = node;
      const names =
        clause !== undefined && ts.isNamedExports(clause) ? listed(clause.elements) : ["*"];
      take(node.moduleSpecifier, names);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      take(node.arguments[0], ["*"]);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      take(node.argument.literal, [node.qualifier?.getText() ?? "*"]);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return taken;
}

/** How often a file says `!` of a value that its type allows to be missing. */
export function nonNullAssertions(path: string): number {
  const file = ts.createSourceFile(path, textOf(path), ts.ScriptTarget.Latest, true);
  let count = 0;
  const visit = (node: ts.Node): void => {
    if (ts.isNonNullExpression(node)) count++;
    ts.forEachChild(node, visit);
  };
  visit(file);
  return count;
}

/** A file's export. */
export interface FoundExport {
  name: string;
  line: number;
  /** Text of the doc comment, empty without one. */
  doc: string;
  kind: "declaration" | "default" | "from";
  /** True when nothing of it is left in JavaScript. */
  isType: boolean;
  /** Words of its declaration without the bodies of functions: what its users must be able to say. */
  signature: ReadonlySet<string>;
}

function declaredNames(node: ts.Statement): string[] {
  if (ts.isVariableStatement(node)) {
    return node.declarationList.declarations.map(({ name }) => name.getText());
  }
  const { name } = node as ts.DeclarationStatement;
  return [name?.getText() ?? "default"];
}

/** The words of a declaration but those in bodies of functions and in private members. */
function signatureOf(declaration: ts.Node): Set<string> {
  const words = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isBlock(node) && ts.isFunctionLike(node.parent)) return;
    if (ts.isClassElement(node) && node.name !== undefined && ts.isPrivateIdentifier(node.name))
      return;
    if (ts.isIdentifier(node)) words.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(declaration);
  return words;
}

/** Every export of a TypeScript file; the implementation of an overload counts as its first line. */
export function exportsOf(path: string): FoundExport[] {
  const file = ts.createSourceFile(path, textOf(path), ts.ScriptTarget.Latest, true);
  const found: FoundExport[] = [];
  for (const node of file.statements) {
    const line = file.getLineAndCharacterOfPosition(node.getStart()).line + 1;
    const isType =
      ts.isInterfaceDeclaration(node) ||
      ts.isTypeAliasDeclaration(node) ||
      (ts.isExportDeclaration(node) && node.isTypeOnly);
    const common = { line, doc: "", isType, signature: signatureOf(node) };
    if (ts.isExportAssignment(node)) found.push({ ...common, name: "default", kind: "default" });
    if (ts.isExportDeclaration(node)) {
      const names = node.exportClause?.getText() ?? "*";
      found.push({ ...common, name: names, kind: "from" });
    }
    const modifiers = ts.canHaveModifiers(node) ? (ts.getModifiers(node) ?? []) : [];
    if (!modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) continue;
    const isDefault = modifiers.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword);
    const comments = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);
    const doc = comments.map(({ comment }) => ts.getTextOfJSDocComment(comment) ?? "").join("\n");
    for (const name of declaredNames(node)) {
      if (doc === "" && found.some((earlier) => earlier.name === name)) continue;
      found.push({ ...common, name, doc, kind: isDefault ? "default" : "declaration" });
    }
  }
  return found;
}

/**
 * Circles in a graph of files: of every set of files that all lead to each other, a shortest circle,
 * as the files along it with the first one again at the end.
 */
export function circlesOf(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const inCircle = new Set<string>();
  const circles: string[][] = [];
  for (const start of imports.keys()) {
    const circle = inCircle.has(start) ? undefined : shortestWay(imports, start, start);
    if (circle === undefined) continue;
    circles.push(circle);
    for (const file of imports.keys()) {
      const both = shortestWay(imports, start, file) && shortestWay(imports, file, start);
      if (both !== undefined) inCircle.add(file);
    }
  }
  return circles;
}

/** The files of a shortest way of at least one step, both ends included. */
function shortestWay(
  imports: ReadonlyMap<string, readonly string[]>,
  from: string,
  to: string,
): string[] | undefined {
  const before = new Map<string, string>();
  const queue = [from];
  for (const file of queue) {
    for (const next of imports.get(file) ?? []) {
      if (before.has(next)) continue;
      before.set(next, file);
      if (next === to) {
        const way = [to];
        do way.unshift(before.get(way[0]!)!);
        while (way[0] !== from);
        return way;
      }
      queue.push(next);
    }
  }
  return undefined;
}
