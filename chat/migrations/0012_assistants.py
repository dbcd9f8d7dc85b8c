import django.db.models.deletion
import django.utils.timezone
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models

NOT_KEPT = {"id", "order"}


def keep_first_versions(apps, schema_editor):
    """Make a first version of each assistant that there is, so that the first change has something to differ from."""
    Assistant = apps.get_model("chat", "Assistant")
    AssistantVersion = apps.get_model("chat", "AssistantVersion")
    for assistant in Assistant.objects.order_by("pk"):
        values = {}
        for field in assistant._meta.concrete_fields:
            if field.name not in NOT_KEPT:
                value = field.value_from_object(assistant)
                plain = value is None or isinstance(value, (bool, int, float, str, list, dict))
                values[field.name] = value if plain else str(value)
        values["groups"] = [list(pair) for pair in assistant.groups.order_by("pk").values_list("pk", "name")]
        AssistantVersion.objects.create(assistant_id=assistant.pk, number=1, origin="found", values=values)


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("chat", "0011_operation"),
    ]

    operations = [
        migrations.AddField(
            model_name='usagerecord',
            name='purpose',
            field=models.CharField(choices=[('answer', 'answer'), ('trial', 'try-out of an assistant'), ('rehearsal', 'rehearsal')], default='answer', max_length=10, verbose_name='purpose'),
        ),
        migrations.CreateModel(
            name='AssistantVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('assistant_id', models.BigIntegerField()),
                ('number', models.PositiveIntegerField(verbose_name='version')),
                ('at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='when')),
                ('by_id', models.BigIntegerField(null=True, verbose_name='who (id)')),
                ('by', models.CharField(blank=True, max_length=150, verbose_name='who')),
                ('origin', models.CharField(choices=[('found', 'found as it was'), ('admin', 'changed in the administration'), ('outside', 'changed outside the administration'), ('reverted', 'an older version was restored'), ('switched', 'a rehearsed change was applied')], default='outside', max_length=10, verbose_name='how')),
                ('source', models.CharField(blank=True, max_length=40)),
                ('values', models.JSONField()),
            ],
            options={
                'verbose_name': 'version of an assistant',
                'verbose_name_plural': 'versions of assistants',
                'ordering': ['-pk'],
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('assistant_id', 'number'), name='one_version')],
            },
        ),
        migrations.CreateModel(
            name='Rehearsal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(max_length=120, verbose_name='title')),
                ('assistant_name', models.CharField(blank=True, max_length=80, verbose_name='assistant')),
                ('base_version', models.PositiveIntegerField(null=True)),
                ('candidate_name', models.CharField(max_length=120, verbose_name='instead')),
                ('candidate', models.JSONField(verbose_name='settings')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='created')),
                ('switched_at', models.DateTimeField(null=True, verbose_name='applied')),
                ('assistant', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='rehearsals', to='chat.assistant', verbose_name='assistant')),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rehearsals', to=settings.AUTH_USER_MODEL, verbose_name='who')),
            ],
            options={
                'verbose_name': 'rehearsal',
                'verbose_name_plural': 'rehearsals',
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='RehearsedQuestion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('messages', models.JSONField(default=list)),
                ('conversation', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='chat.conversation')),
                ('message', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='chat.message')),
                ('rehearsal', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='questions', to='chat.rehearsal')),
            ],
            options={
                'ordering': ['number'],
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='RehearsedAnswer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('side', models.CharField(choices=[('old', 'old answer'), ('new', 'new answer')], max_length=3)),
                ('status', models.CharField(choices=[('queued', 'queued'), ('in_progress', 'in progress'), ('completed', 'completed'), ('incomplete', 'incomplete'), ('cancelled', 'cancelled'), ('failed', 'failed')], default='queued', max_length=12)),
                ('content', models.TextField(blank=True)),
                ('finish_reason', models.CharField(blank=True, max_length=20)),
                ('error_code', models.CharField(blank=True, max_length=40)),
                ('error_detail', models.TextField(blank=True)),
                ('backend', models.CharField(max_length=80)),
                ('model', models.CharField(blank=True, max_length=200)),
                ('input_tokens', models.PositiveIntegerField(null=True)),
                ('output_tokens', models.PositiveIntegerField(null=True)),
                ('cost', models.DecimalField(decimal_places=6, default=Decimal('0'), max_digits=12)),
                ('first_text_ms', models.PositiveIntegerField(null=True)),
                ('duration_ms', models.PositiveIntegerField(null=True)),
                ('started_at', models.DateTimeField(null=True)),
                ('heartbeat_at', models.DateTimeField(null=True)),
                ('worker', models.CharField(blank=True, max_length=100)),
                ('slot', models.PositiveSmallIntegerField(null=True)),
                ('runs', models.PositiveSmallIntegerField(default=0)),
                ('copied_from', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='chat.message')),
                ('question', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='answers', to='chat.rehearsedquestion')),
            ],
            options={
                'ordering': ['pk'],
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='RehearsalVote',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('choice', models.CharField(choices=[('old', 'The old one is better'), ('same', 'As good as each other'), ('new', 'The new one is better')], max_length=4)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('question', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='votes', to='chat.rehearsedquestion')),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Trial',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose', models.CharField(choices=[('answer', 'answer'), ('trial', 'try-out of an assistant'), ('rehearsal', 'rehearsal')], max_length=10)),
                ('backend', models.CharField(max_length=80)),
                ('began_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.AddConstraint(
            model_name='rehearsedquestion',
            constraint=models.UniqueConstraint(fields=('rehearsal', 'number'), name='one_question'),
        ),
        migrations.AddIndex(
            model_name='rehearsedanswer',
            index=models.Index(fields=['status', 'backend'], name='rehearsed_by_status'),
        ),
        migrations.AddConstraint(
            model_name='rehearsedanswer',
            constraint=models.UniqueConstraint(fields=('question', 'side'), name='one_answer_a_side'),
        ),
        migrations.AddConstraint(
            model_name='rehearsedanswer',
            constraint=models.UniqueConstraint(fields=('backend', 'slot'), name='one_answer_a_slot'),
        ),
        migrations.AddConstraint(
            model_name='rehearsalvote',
            constraint=models.UniqueConstraint(fields=('question', 'person'), name='one_vote'),
        ),
        migrations.RunPython(keep_first_versions, migrations.RunPython.noop),
    ]
