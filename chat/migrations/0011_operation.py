import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('chat', '0010_overview'),
    ]

    operations = [
        migrations.CreateModel(
            name='BackendState',
            fields=[
                ('alias', models.CharField(max_length=80, primary_key=True, serialize=False, verbose_name='backend')),
                ('next_probe_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='next probe')),
                ('prober', models.CharField(blank=True, max_length=100, verbose_name='probed by')),
                ('probed_at', models.DateTimeField(null=True, verbose_name='last probe')),
                ('told_at', models.DateTimeField(null=True, verbose_name='last good probe that tells')),
                ('latency_ms', models.PositiveIntegerField(null=True, verbose_name='latency, ms')),
                ('error_code', models.CharField(blank=True, max_length=40, verbose_name='error code')),
                ('error_detail', models.TextField(blank=True, verbose_name='error detail')),
                ('listed', models.JSONField(default=list, verbose_name='models')),
                ('listed_at', models.DateTimeField(null=True, verbose_name='models listed')),
                ('figures', models.JSONField(default=dict, verbose_name='figures')),
                ('failures', models.PositiveIntegerField(default=0, verbose_name='failed answers in a row')),
                ('probe_failures', models.PositiveIntegerField(default=0, verbose_name='failed probes in a row')),
                ('failing_since', models.DateTimeField(null=True, verbose_name='failing since')),
                ('failed_at', models.DateTimeField(null=True, verbose_name='last failure')),
                ('coolings', models.PositiveIntegerField(default=0, verbose_name='times cooled off')),
                ('cooling_until', models.DateTimeField(null=True, verbose_name='cooling off until')),
                ('trial_at', models.DateTimeField(null=True, verbose_name='tried')),
            ],
            options={
                'verbose_name': 'state of a backend',
                'verbose_name_plural': 'states of backends',
                'ordering': ['alias'],
                'permissions': [('view_health', 'Can see how the site and its backends fare, and have them probed'), ('view_settings', 'Can see the settings of the site, without the secrets')],
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Worker',
            fields=[
                ('name', models.CharField(max_length=100, primary_key=True, serialize=False, verbose_name='name')),
                ('started_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='started')),
                ('seen_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='last sign of life')),
                ('running', models.PositiveIntegerField(default=0, verbose_name='answers')),
            ],
            options={
                'verbose_name': 'process',
                'verbose_name_plural': 'processes',
                'ordering': ['started_at'],
                'default_permissions': (),
            },
        ),
    ]
