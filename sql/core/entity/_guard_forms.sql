-- pg_get_triggerdef() puts each operator in parentheses, so that guard AND condition means what it says; it puts CASE on a line of its own and takes the space
-- before it away. The guard looks at the setting first, because that costs next to nothing; anyone can turn the setting on, so is_applying() has the last word.
create or replace function rowferry._guard_forms(
  p_definition text,
  out o_guarded boolean,
  out o_without text,
  out o_with text
)
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_guard constant text := '((current_setting(''rowferry.applying''::text, true) IS DISTINCT FROM ''on''::text) OR (NOT rowferry.is_applying()))';
  c_both constant text := '(' || c_guard || ' AND';
  -- All up to the first FOR EACH that is not part of a name.
  v_head constant text := (regexp_match(p_definition, $r$^(?:[^" ]|"[^"]*"| (?!FOR EACH ))* FOR EACH (?:ROW|STATEMENT) $r$))[1];
  -- The condition, which ends before the first EXECUTE FUNCTION that is not part of a string or of a name; and the rest.
  v_parts constant text[] := regexp_match(substr(p_definition, length(v_head) + 1),
    $r$^(?:WHEN \(((?:[^'")]|'[^']*'|"[^"]*"|\)(?! EXECUTE FUNCTION ))*)\) )?(EXECUTE FUNCTION .*)$r$);
  v_condition text := v_parts[1];
begin
  o_guarded := coalesce(v_condition = c_guard or v_condition ^@ (c_both || ' ') or v_condition ^@ (c_both || E'\n'), false);
  if o_guarded then
    v_condition := case when v_condition <> c_guard then ltrim(substr(v_condition, length(c_both) + 1, length(v_condition) - length(c_both) - 1), ' ') end;
  end if;
  o_without := v_head || coalesce('WHEN (' || v_condition || ') ', '') || v_parts[2];
  o_with := v_head || 'WHEN (' || coalesce(c_both || case when v_condition ^@ E'\n' then '' else ' ' end || v_condition || ')', c_guard) || ') ' || v_parts[2];
end
$function$;
comment on function rowferry._guard_forms(text) is
  'The definition of a trigger, as PostgreSQL prints it, without the guard and with it, and whether it has it now (o_guarded). The guard is the condition '
  'that attach() puts before that of the trigger: false exactly while rows of a peer are written.';
