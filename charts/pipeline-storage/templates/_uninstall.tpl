{{/*
What helm uninstall needs before it removes anything else. The Service would go before the MutatingWebhookConfiguration
(Helm 3), or a moment after it, while API servers still call the webhook (Helm 4): labelled pods would be refused.
*/}}
{{- define "pipeline-storage.uninstall.name" -}}
{{- printf "%s-uninstall" (include "pipeline-storage.fullname" .) | include "pipeline-storage.shorten" -}}
{{- end -}}

{{/* No fullname has a dot, so no other object of the chart can have this name. */}}
{{- define "pipeline-storage.uninstall.clusterName" -}}
{{- printf "%s.uninstall" (include "pipeline-storage.clusterName" .) -}}
{{- end -}}

{{/* A failed Job stays, so that you can read its log; Helm removes the rights that it had, and the next try removes the Job. */}}
{{- define "pipeline-storage.uninstall.annotations" -}}
helm.sh/hook: pre-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* Neither the Service nor the PodDisruptionBudget selects these: app.kubernetes.io/name is missing. */}}
{{- define "pipeline-storage.uninstall.selectorLabels" -}}
app.kubernetes.io/component: uninstall
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
