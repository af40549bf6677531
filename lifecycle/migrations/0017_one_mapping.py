from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("lifecycle", "0016_end_answers"),
        # What these said is in the register from there on.
        ("registry", "0015_given_groups"),
    ]

    operations = [
        migrations.DeleteModel(name="SourceGroup"),
        migrations.RemoveField(model_name="source", name="group_map"),
    ]
