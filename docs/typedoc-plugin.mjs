import { Converter, DeclarationReflection, ReflectionKind } from 'typedoc';

/**
 * Prepares the API pages. Modules get the names that programs import, and a class lists a member that it
 * inherits only if no page of its base class has it.
 *
 * @param {import('typedoc').Application} app
 */
export function load(app) {
  app.converter.on(
    Converter.EVENT_RESOLVE_BEGIN,
    ({ project }) => {
      for (const module of project.getReflectionsByKind(ReflectionKind.Module)) {
        module.name = module.name.replace(/^index$/, 'gyre').replace(/^entry\//, 'gyre/');
      }
      for (const reflection of Object.values(project.reflections)) {
        if (reflection.comment !== undefined) separateNotes(reflection.comment);
        if (reflection instanceof DeclarationReflection) shareComment(reflection.signatures ?? []);
      }
    },
    // Before typedoc's own handler, which warns of a parameter that a signature lacks.
    1000,
  );
  app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => {
    const members = project.getReflectionsByKind(ReflectionKind.ClassMember);
    for (const member of members) {
      if (member instanceof DeclarationReflection && member.inheritedFrom?.reflection) {
        project.removeReflection(member);
      }
    }
  });
  // A comment that a class of another module inherits: its links name exports of `gyre`.
  app.converter.addUnknownSymbolResolver((reference, reflection) => {
    const name = reference.symbolReference?.path?.map(({ path }) => path);
    const target = name && reflection.project.getChildByName(['gyre', ...name]);
    return target && { target };
  });
}

/**
 * Moves the notes "**Cancellation** …" and "**Backends** …" to the description. Doc comments have them behind
 * `@throws`, so typedoc takes them for a part of it.
 *
 * @param {import('typedoc').Comment} comment
 */
function separateNotes(comment) {
  for (const tag of comment.blockTags) {
    const at = tag.content.findIndex(({ kind, text }) => kind === 'text' && /\n\n\*\*\w+\*\*/.test(text));
    if (tag.tag === '@example' || at < 0) continue;
    const { text } = tag.content[at];
    const start = text.search(/\n\n\*\*\w+\*\*/);
    comment.summary.push({ kind: 'text', text: text.slice(start) }, ...tag.content.slice(at + 1));
    tag.content = [...tag.content.slice(0, at), { kind: 'text', text: text.slice(0, start) }];
  }
}

/**
 * Gives each overload the comment of the first one, with the parameters that it has. The example and the
 * description stay with the first.
 *
 * @param {import('typedoc').SignatureReflection[]} overloads
 */
function shareComment(overloads) {
  const comment = overloads[0]?.comment;
  if (comment === undefined || overloads.length < 2) return;
  for (const overload of overloads) {
    const own = comment.clone();
    own.blockTags = own.blockTags.filter(
      ({ tag, name }) =>
        tag !== '@param' || overload.parameters?.some((parameter) => parameter.name === name),
    );
    if (overload !== overloads[0]) {
      own.summary = [];
      own.blockTags = own.blockTags.filter(({ tag }) => tag === '@param' || tag === '@returns');
    }
    overload.comment = own;
  }
}
