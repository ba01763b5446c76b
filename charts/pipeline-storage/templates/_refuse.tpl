{{/*
Fails for labels of the values that would break the installation: list VALUE LABELS. A schema could refuse them, but not with a reason.
*/}}
{{- define "pipeline-storage.refuseLabels" -}}
{{- $value := index . 0 -}}
{{- range $key, $text := index . 1 -}}
  {{- if has $key (list "app.kubernetes.io/name" "app.kubernetes.io/instance") -}}
    {{- fail (printf "%s: %s is a label of the chart, by which it finds its own objects: choose another key" $value $key) -}}
  {{- else if and (eq $key "pipeline-storage") (eq $text "enabled") -}}
    {{- fail (printf "%s: with pipeline-storage: enabled the pods of the webhook would wait for the webhook itself: leave this label out" $value) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Fails where the webhook would refuse the profile when it starts: list PROFILE KNOWN CLASSCREATED. The rules and their sentences are
those of pkg/inject/storage, by files/backends.json; values.schema.json has the others.
*/}}
{{- define "pipeline-storage.refuse" -}}
{{- $profile := index . 0 -}}
{{- $known := index . 1 -}}
{{- $classCreated := index . 2 -}}
{{- $class := $profile.storageClass | default dict -}}
{{- $className := $class.name | default "" -}}
{{- $clusterDefault := $known.defaults.clusterDefault -}}
{{- $where := printf "config.profiles: profile %q:" $profile.name -}}
{{- if eq $className $clusterDefault -}}
  {{- if $classCreated -}}
    {{- fail (printf "%s storageClass.name %s is a class that exists: do not create one" $where $className) -}}
  {{- else if kindIs "map" $profile.volume -}}
    {{- fail (printf "%s storageClass.name %s cannot be the class of a volume, whose class must be known" $where $className) -}}
  {{- end -}}
{{- else if eq ($className | replace "-" "" | lower) (lower $clusterDefault) -}}
  {{- fail (printf "%s storageClass.name %q: write %s for the default StorageClass of the cluster" $where $className $clusterDefault) -}}
{{- else if not (or $className $classCreated (kindIs "map" $profile.volume) (not (dig "create" true ($profile.claim | default dict)))) -}}
  {{- fail (printf "%s storageClass.name is required: the class is not created, so the claim would wait for a class that may not exist: name the one to use, or %s for the default StorageClass of the cluster" $where $clusterDefault) -}}
{{- end -}}
{{- $size := dig "size" "" ($profile.claim | default dict) -}}
{{- $text := toString $size -}}
{{- if and (not (kindIs "string" $size)) (eq (int64 $size | float64) (float64 $size)) -}}
  {{- $text = int64 $size | toString -}}
{{- end -}}
{{- if or (hasPrefix "-" $text) (regexMatch `^\+?0+(\.0*)?[A-Za-z]*$` $text) -}}
  {{- fail (printf "%s claim.size %s must be greater than zero" $where $text) -}}
{{- else if kindIs "string" $size | ternary (regexMatch `^(\+?[0-9]{1,6}(\.[0-9]*)?|.*[0-9]m|\+?[0-9]{1,3}(\.[0-9]*)?(k|Ki))$` $text) (lt (float64 $size) 1048576.0) -}}
  {{- fail (printf "%s claim.size %s is less than 1Mi, which a claim has at least: write the unit, such as %sGi" $where $text (regexFind "[0-9.]+" $text)) -}}
{{- end -}}
{{- $path := dig "path" "" ($profile.mount | default dict) | default $known.defaults.path | clean -}}
{{- range $known.reserved.paths -}}
  {{- if or (eq $path .name) (and .below (hasPrefix (printf "%s/" .name) $path)) -}}
    {{- fail (printf "%s mount.path %s %s" $where $path .why) -}}
  {{- end -}}
{{- end -}}
{{- $env := $profile.env | default list -}}
{{- range $name := kindIs "slice" $env | ternary $env (list $env) -}}
  {{- range $known.reserved.variables -}}
    {{- if or (eq $name .name) (and .below (hasPrefix .name $name)) -}}
      {{- fail (printf "%s env %s %s: choose another name" $where $name .why) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $object := list "claim" "storageClass" "volume" -}}
  {{- range $field := list "labels" "annotations" -}}
    {{- range $key := dig $object $field dict $profile | default dict | keys -}}
      {{- $domain := contains "/" $key | ternary (splitList "/" $key | first) "" -}}
      {{- range $known.reserved.keys -}}
        {{- if or (eq $key .name) (and .below (or (eq $domain .name) (hasSuffix (printf ".%s" .name) $domain))) -}}
          {{- fail (printf "%s %s.%s: %s %s: choose another key" $where $object $field $key .why) -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}
